"""What follows from the log and the settings alone is worked out once, and again when the log has grown: by each process for itself.

How far the log has come is one small statement, whatever the log holds. Within a transaction nothing new is remembered: what it
has written may be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.dispatch import receiver

from sync import conf, keys, signals
from sync.models import Entry, Local

T = TypeVar("T")
ROOM = 2_000  # values of one process

# The last entry by position, with the name of its changeset: a number alone may have been given out in a transaction that failed.
_LAST = (
    f"SELECT root_name, root_key, root_url, position, dot FROM {Local._meta.db_table} LEFT JOIN {Entry._meta.db_table} "  # noqa: S608
    f"ON position = (SELECT MAX(position) FROM {Entry._meta.db_table}) WHERE {Local._meta.db_table}.id = 1"
)


class Standing(NamedTuple):
    """How far the log has come, the pinned root, and what the settings say of this replica."""

    root: tuple[str, ...]
    position: int
    dot: bytes
    settings: tuple[str, ...]


def standing() -> Standing:
    """Return where this replica stands, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        row = cursor.fetchone()
    *root, position, dot = row or ("", "", "", None, None)
    own = (conf.name(), conf.role(), conf.farm(), conf.url(), keys.public_text())
    return Standing(tuple(root), position or 0, bytes(dot or b""), own)


_known: dict[tuple[Any, ...], tuple[Standing, Any]] = {}


def until_the_log_grows(function: Callable[..., T]) -> Callable[..., T]:
    """Decorate a function of the log and of hashable arguments, whose value nobody alters."""

    @wraps(function)
    def remembered(*args: Any) -> T:
        now, key = standing(), (connection.settings_dict["NAME"], function.__qualname__, args)
        found = _known.get(key)
        if found is not None and found[0] == now:
            return found[1]
        value = function(*args)
        if not connection.in_atomic_block:
            if len(_known) >= ROOM:
                _known.clear()
            _known[key] = (now, value)
        return value

    return remembered


@receiver(signals.replacing)
def _forget(**_: Any) -> None:
    _known.clear()

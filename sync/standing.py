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
from sync.core.policy import TRUST
from sync.models import Chain, Entry, Local, Tip

T = TypeVar("T")
ROOM = 2_000  # values of one process

# The last entry by position, with the name of its changeset: a number alone may have been given out in a transaction that failed.
_LAST = (
    f"SELECT root_name, root_key, root_url, incarnation, position, dot FROM {Local._meta.db_table} LEFT JOIN {Entry._meta.db_table} "  # noqa: S608
    f"ON position = (SELECT MAX(position) FROM {Entry._meta.db_table}) WHERE {Local._meta.db_table}.id = 1"
)


# The ends of the chains in which the trusted list is written; it follows from them and from the pinned root.
_LIST = (
    f"SELECT root_name, root_key, root_url, ends.dot FROM {Local._meta.db_table} LEFT JOIN "  # noqa: S608
    f"(SELECT dot FROM {Tip._meta.db_table} AS tip JOIN {Chain._meta.db_table} AS chain ON chain.id = tip.chain_id "
    f"WHERE chain.scope = '{TRUST}') AS ends ON 1 = 1 WHERE {Local._meta.db_table}.id = 1 ORDER BY ends.dot"
)


class Standing(NamedTuple):
    """Whose log it is, by the pinned root, the incarnation and what the settings say of this replica; and how far it has come."""

    root: tuple[str, ...]
    incarnation: str
    settings: tuple[str, ...]
    position: int
    dot: bytes

    def may_follow(self, former: Standing) -> bool:
        """Say whether it is the same replica's: a restored database is another incarnation."""
        return self[:3] == former[:3] and self.position >= former.position


def standing() -> Standing:
    """Return where this replica stands, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        row = cursor.fetchone()
    *root, incarnation, position, dot = row or ("", "", "", "", None, None)
    return Standing(tuple(root), incarnation, _own(), position or 0, bytes(dot or b""))


def standing_of_the_list() -> tuple[Any, ...]:
    """Return what the trusted list follows from, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST)
        rows = cursor.fetchall()
    root = tuple(rows[0][:3]) if rows else ()
    return root, tuple(bytes(dot) for *_, dot in rows if dot is not None), _own()


def _own() -> tuple[str, ...]:
    return conf.name(), conf.role(), conf.farm(), conf.url(), keys.public_text()


_known: dict[tuple[Any, ...], tuple[Any, Any]] = {}


def remembered_while(same: Callable[[], Any]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorate a function of what ``same`` tells and of hashable arguments, whose value nobody alters."""

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def remembered(*args: Any) -> T:
            now, key = same(), (connection.settings_dict["NAME"], function.__qualname__, args)
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

    return decorate


until_the_list_changes = remembered_while(standing_of_the_list)


@receiver(signals.replacing)
def _forget(**_: Any) -> None:
    _known.clear()

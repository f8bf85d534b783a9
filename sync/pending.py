"""What the open transaction of a connection has written so far, and in whose name.

Rows are named by model class and token here, since this module stands below those that know what a model declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, models

Values = dict[str, Any]
Place = tuple[type[models.Model], str]  # a row of a replicated table: concrete model, token

author: ContextVar[str] = ContextVar("author", default="")


@contextmanager
def written_by(name: str) -> Iterator[None]:
    """Name ``name`` as the author of the changesets made within."""
    before = author.set(name)
    try:
        yield
    finally:
        author.reset(before)


@dataclass(slots=True)
class Pending:
    """Rows as they were before this transaction (None: not there), and the values that their authors had loaded."""

    before: dict[Place, Values | None] = field(default_factory=dict)
    seen: dict[Place, Values] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything: the transaction has ended."""
        self.before.clear()
        self.seen.clear()


def of(using: str) -> Pending:
    """Return what the open transaction of the connection ``using`` has written."""
    connection = connections[using]
    if not hasattr(connection, "sync_pending"):
        connection.sync_pending = Pending()  # type: ignore[attr-defined]
    return connection.sync_pending  # type: ignore[attr-defined]


def remember_seen(instance: models.Model, loaded: Values, using: str) -> None:
    """Keep what the author of ``instance`` had loaded, for the write that follows in this transaction.

    What was seen first stays: an instance that is loaded later in the transaction shows what the transaction itself wrote.
    """
    place = (type(instance)._meta.concrete_model or type(instance), str(instance.pk))
    held = of(using).seen.setdefault(place, {})
    held.update((name, value) for name, value in loaded.items() if name not in held)

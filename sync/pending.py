"""What the open transaction of a connection has written so far, and in whose name.

Rows are named by model class and token here, since this module stands below those that know what a model declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections, models

from sync.core.clock import Timestamp

Values = dict[str, Any]
Heads = Mapping[str, tuple[bytes, ...]]  # the dots of the writes that stand in each register of a row, by its key
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


class Shown(NamedTuple):
    """What the form that writes a row had been shown of it: the heads, where they concern the fields ``fields``."""

    heads: Heads
    fields: frozenset[str]


class Session(NamedTuple):
    """The form that writes: its name, how many times it was sent before, and the clock when it was opened."""

    id: str
    counter: int
    clock: Timestamp


@dataclass(slots=True)
class Pending:
    """Rows as they were before this transaction (None: not there), and the values that their authors had loaded.

    ``shown`` and ``session`` say more where a form writes: see ``sync.versions``.
    ``undo`` is called where the transaction is rolled back, or its commit fails.
    """

    before: dict[Place, Values | None] = field(default_factory=dict)
    seen: dict[Place, Values] = field(default_factory=dict)
    shown: dict[Place, Shown] = field(default_factory=dict)
    session: Session | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything: the transaction has ended."""
        self.before.clear()
        self.seen.clear()
        self.shown.clear()
        self.session = None

    def roll_back(self) -> None:
        """Forget everything, and undo what was done outside the database."""
        self.clear()
        while self.undo:
            self.undo.pop()()


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
    fresh = {name: value for name, value in loaded.items() if name not in held}
    written = _written_before(place, fresh, using)
    held.update((name, value) for name, value in fresh.items() if name not in written)


def _written_before(place: Place, loaded: Values, using: str) -> set[str]:
    """Return the fields that were loaded as a statement of this very transaction has written them: nobody else wrote that."""
    before = of(using).before.get(place)
    differing = [name for name, value in loaded.items() if before and name in before and before[name] != value]
    if not differing:
        return set()
    now = place[0]._base_manager.using(using).filter(pk=place[1]).values(*differing).first() or {}
    return {name for name in differing if name in now and now[name] == loaded[name]}

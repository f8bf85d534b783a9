"""Capture: what one transaction changed becomes one changeset for each scope, inside that transaction.

The database backends call ``touch`` before every write of the ORM to a replicated table, which keeps the row as it was; just
before the commit, ``flush`` reads the rows as they are and hands the differences on. So it does not matter by which way of the
ORM a row was changed, and what was rolled back to a savepoint is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections

from sync import local
from sync.registry import ModelSpec, spec

Values = dict[str, Any]

author: ContextVar[str] = ContextVar("author", default="")


@contextmanager
def written_by(name: str) -> Iterator[None]:
    """Name ``name`` as the author of the changesets made within."""
    before = author.set(name)
    try:
        yield
    finally:
        author.reset(before)


class Place(NamedTuple):
    """A row of a replicated table."""

    model: ModelSpec
    token: str


@dataclass(slots=True)
class Pending:
    """What the open transaction of one connection has written: rows as they were (None: not there), and what authors saw."""

    before: dict[Place, Values | None] = field(default_factory=dict)
    seen: dict[Place, Values] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything: the transaction has ended."""
        self.before.clear()
        self.seen.clear()


def pending(using: str = "default") -> Pending:
    """Return what the open transaction of a connection has written."""
    connection = connections[using]
    if not hasattr(connection, "sync_pending"):
        connection.sync_pending = Pending()  # type: ignore[attr-defined]
    return connection.sync_pending  # type: ignore[attr-defined]


def remember_seen(instance: Any, using: str, written: Iterable[str] | None = None) -> None:
    """Keep what the author of ``instance`` had loaded, for the write of the fields ``written`` that follows in this transaction.

    What was seen first stays: an instance that is loaded later in the transaction shows what the transaction itself has written.
    """
    model, loaded = spec(type(instance)), instance.__dict__.get("_values_seen")
    if model is not None and loaded and not instance._state.adding:
        names = model.names if written is None else {instance._meta.get_field(name).attname for name in written}
        seen = {name: loaded[name] for name in model.names if name in names and name in loaded}
        held = pending(using).seen.setdefault(Place(model, instance.pk), {})
        held.update((name, value) for name, value in seen.items() if name not in held)


def touch(using: str, model: ModelSpec, tokens: Iterable[str] | None = None, query: Any = None) -> list[Place]:
    """Keep rows as they are before a write: those of ``tokens``, or those that ``query`` (a QuerySet) selects.

    Returns those that this transaction had not touched yet.
    """
    held = pending(using)
    if not held.before:
        local.take_turn()
    rows = {row["token"]: row for row in query.values("token", *model.names)} if query is not None else {}
    fresh = {Place(model, token): rows.get(token) for token in [*(tokens or ()), *rows]}
    new = [place for place in fresh if place not in held.before]
    held.before.update((place, fresh[place]) for place in new)
    return new


def untouch(using: str, places: Iterable[Place]) -> None:
    """Forget ``places``: the write that touched them first has failed."""
    held = pending(using)
    for place in places:
        held.before.pop(place, None)


def flush(using: str) -> None:
    """Make the changesets of the open transaction. Called by the database backends, just before the commit."""
    held = pending(using)
    if held.before:
        from sync import commit

        before, seen = dict(held.before), dict(held.seen)
        held.clear()
        commit.record(before, seen)


def current_values(using: str, places: Iterable[Place]) -> dict[Place, Values]:
    """Return the rows as they are now."""
    by_model: dict[ModelSpec, list[str]] = {}
    for place in places:
        by_model.setdefault(place.model, []).append(place.token)
    found: dict[Place, Values] = {}
    for model, tokens in by_model.items():
        for start in range(0, len(tokens), 500):
            query = model.model._base_manager.using(using).filter(pk__in=tokens[start : start + 500])
            found.update((Place(model, row["token"]), row) for row in query.values("token", *model.names))
    return found

"""Capture: rows as they were before a transaction wrote them, and as they are when it commits.

The database backends call ``touch`` before every write of the ORM to a replicated table; just before the commit, ``sync.commit``
reads the rows again and writes down the difference. So it does not matter by which way of the ORM a row was changed, and what
was rolled back to a savepoint is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import local, pending
from sync.pending import Place, Values
from sync.registry import ModelSpec, spec

CHUNK = 500  # rows read by one statement


def touch(using: str, model: ModelSpec, tokens: Iterable[str] | None = None, query: Any = None) -> list[Place]:
    """Keep rows as they are before a write: those of ``tokens``, or those that ``query`` (a QuerySet) selects.

    Returns those that this transaction had not touched yet.
    """
    held = pending.of(using)
    local.take_turn()  # each time: rolling back to a savepoint gives back the turn that was taken after it
    rows = {row["token"]: row for row in model.read(query)} if query is not None else {}
    fresh: dict[Place, Values | None] = {(model.model, token): rows.get(token) for token in [*(tokens or ()), *rows]}
    new = [place for place in fresh if place not in held.before]
    held.before.update((place, fresh[place]) for place in new)
    return new


def untouch(using: str, places: Iterable[Place]) -> None:
    """Forget ``places``: the write that touched them first has failed."""
    held = pending.of(using)
    for place in places:
        held.before.pop(place, None)


def current_values(using: str, places: Iterable[Place]) -> dict[Place, Values]:
    """Return the rows as they are now; those that are not there are left out."""
    by_model: dict[Any, list[str]] = {}
    for model, token in places:
        by_model.setdefault(model, []).append(token)
    found: dict[Place, Values] = {}
    for model, tokens in by_model.items():
        declared = spec(model)
        assert declared is not None
        for start in range(0, len(tokens), CHUNK):
            query = model._base_manager.using(using).filter(pk__in=tokens[start : start + CHUNK])
            found.update(((model, row["token"]), row) for row in declared.read(query))
    return found

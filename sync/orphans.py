"""Rows that nobody would come upon: alive, but what they are part of is not here; or in a tree whose links run in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, Model, OuterRef, QuerySet

from sync.core.tree import cycles
from sync.registers import Batch, RowKey
from sync.registry import ModelSpec, all_specs, spec
from sync.values import Values


def orphans() -> Iterator[RowKey]:
    """Yield the rows whose whole is not here. They are listed, and counted in ``sync_status``, never hidden."""
    for model in all_specs():
        if model.whole is not None:
            yield from (RowKey(model.label, token) for token in _without_whole(model).values_list("token", flat=True))


def count() -> int:
    """Return how many rows ``orphans`` yields."""
    return sum(_without_whole(model).count() for model in all_specs() if model.whole is not None)


def _without_whole(model: ModelSpec) -> QuerySet[Any]:
    assert model.whole is not None
    whole = model.whole.model._base_manager.filter(pk=OuterRef(str(model.composition)))
    return model.model._base_manager.filter(~Exists(whole)).order_by("token")


def ignored_links(model: type[Model], reference: str) -> set[str]:
    """Return the rows of a tree whose link to the parent is to be ignored: in each circle the one that was written last.

    ``reference`` is the attribute name of a reference of ``model`` to itself, such as ``parent_id``. X under Y and Y under X,
    written at once, both stay in sight that way, and every replica shows the same one at the top. Reads the whole tree.
    """
    declared = spec(model)
    assert declared is not None
    found = cycles(dict(model._base_manager.values_list("token", reference)))
    batch, values = Batch(), Values()
    batch.load(RowKey(declared.label, token) for cycle in found for token in cycle)

    def order(token: str) -> Any:
        heads = batch.slots[RowKey(declared.label, token)].row.heads[reference]
        return values.order(values.shown(heads))

    return {max(cycle, key=order) for cycle in found}

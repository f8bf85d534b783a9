"""Rows that nobody has written before, as nearly all are that an empty replica pulls: stored without making objects of their registers.

A row is fresh where no registers of it are here, one op of the batch writes it, over nothing, and all that it says can be shown.
Everything else takes the general way, by ``fold`` and ``project``; both give the same, which a law in the tests sees to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import transaction
from msgspec.structs import astuple

from sync import claims
from sync.columns import Prepare, insert, prepared
from sync.core.changeset import Changeset, Op
from sync.core.token import maker_of
from sync.project import is_of_the_machine
from sync.registers import Batch, RowKey
from sync.registry import ModelSpec, spec_of
from sync.shapes import Form, Shape, shape_of

Once = Mapping[RowKey, tuple[Changeset, Op] | None]  # who writes a row; None where several do


class Row(NamedTuple):
    """A row to be stored: its token and columns, by the order of the model's fields, and its registers."""

    key: RowKey
    scope: str
    columns: list[Any]
    state: bytes


@dataclass(slots=True)
class Stored:
    """What was stored, and the wholes that new parts belong to."""

    rows: set[RowKey] = field(default_factory=set)
    wholes: set[RowKey] = field(default_factory=set)


def writers(changesets: Iterable[Changeset]) -> dict[RowKey, tuple[Changeset, Op] | None]:
    """Return who writes each row that ``changesets`` touch."""
    found: dict[RowKey, tuple[Changeset, Op] | None] = {}
    for changeset in changesets:
        for op in changeset.head.ops:
            key = RowKey(op.model, op.token)
            found[key] = None if key in found else (changeset, op)
    return found


def store(batch: Batch, once: Once, moved: Collection[RowKey]) -> Stored:
    """Store what is fresh of ``once``, whose registers ``batch`` has loaded and whose claims were noted; say what that was.

    ``moved``: rows whose names are not what they claim. The registers are written by ``batch.save``.
    """
    by_model: dict[str, list[tuple[RowKey, Changeset, Op]]] = {}
    for key, writer in once.items():
        if writer is not None and key not in batch.slots and key not in moved:
            by_model.setdefault(key.model, []).append((key, *writer))
    stored = Stored()
    for label, written in by_model.items():
        model = spec_of(label)
        if model is not None:
            _Table(model).store(batch, written, stored)
    stored.wholes -= stored.rows
    return stored


class _Table:
    """Fresh rows of one model."""

    def __init__(self, model: ModelSpec) -> None:
        self.model = model
        self.prepare: dict[str, Prepare] = {name: prepared(each) for name, each in model.fields.items()}
        self.shapes: dict[tuple[tuple[Any, ...], ...], Shape | None] = {}

    def store(self, batch: Batch, written: Iterable[tuple[RowKey, Changeset, Op]], stored: Stored) -> None:
        """Store those of ``written`` that are fresh; where the database refuses, none: the general way finds out which row it was."""
        rows = [row for each in written if (row := self._row(*each)) is not None]
        if not rows or self._is_renamed(rows):
            return
        try:
            with transaction.atomic():
                insert(self.model, [row.columns for row in rows])
        except Exception as error:
            if is_of_the_machine(error):
                raise
            return
        for row in rows:
            batch.add(row.key, row.scope, row.state)
        stored.rows.update([row.key for row in rows])
        if self.model.whole is not None:
            place, label = self._place(str(self.model.composition)), self.model.whole.label
            stored.wholes.update(RowKey(label, str(row.columns[place])) for row in rows if row.columns[place])

    def _is_renamed(self, rows: Iterable[Row]) -> bool:
        """Whether one of ``rows`` may have to show another name than it says: somebody else has it."""
        if not self.model.claimers or not claims.is_anybody_displaced():
            return False
        places = [self._place(reference) for _, reference in self.model.claimers.values() if reference]
        tokens = {row.key.token for row in rows} | {str(row.columns[place]) for row in rows for place in places}
        return bool(claims.displaced(tokens))

    def _place(self, name: str) -> int:
        return 1 + self.model.names.index(name)

    def _row(self, key: RowKey, changeset: Changeset, op: Op) -> Row | None:
        """Return the row that ``op`` makes; None for one that is not fresh."""
        if op.seen is not None or not op.writes or (self.model.immutable and changeset.head.name != maker_of(key.token)):
            return None
        fields, elements, said, over, latest = zip(*map(astuple, op.writes), strict=True)
        if any(over):
            return None
        try:
            shape = self._shape(fields, elements, latest)
            if shape is None:
                return None
            values = [changeset.told(value) if type(value) is dict else value for value in said]
            columns = shape.row(key.token, values)
        except Exception as error:  # whatever a field, or a function that cleans, raises of what a peer has sent
            if is_of_the_machine(error):
                raise
            return None
        return Row(key, changeset.head.scope, columns, shape.before + changeset.dot + shape.after)

    def _shape(self, *form: tuple[Any, ...]) -> Shape | None:
        if form not in self.shapes:
            self.shapes[form] = shape_of(self.model, self.prepare, Form(*form))
        return self.shapes[form]

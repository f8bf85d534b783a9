"""Folding changesets into registers: the same for what was made here and for what was received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sync.core.changeset import Changeset, Op
from sync.core.register import Row
from sync.registers import Batch, RowKey


def rows_of(changesets: Iterable[Changeset]) -> set[RowKey]:
    """The rows that ``changesets`` touch."""
    return {RowKey(op.model, op.token) for changeset in changesets for op in changeset.head.ops}


def fold(batch: Batch, changeset: Changeset, only: set[RowKey] | None = None) -> None:
    """Apply the ops of one changeset to the registers of ``batch``; to those of the rows ``only``, if given."""
    dot, refs, scope = changeset.dot, changeset.refs(), changeset.head.scope
    for op in changeset.head.ops:
        key = RowKey(op.model, op.token)
        if only is not None and key not in only:
            continue
        slot = batch.slot(key, scope)
        slot.dirty = True
        slot.changed.update(write.key for write in op.writes)
        fold_op(slot.row, dot, refs, op)


def fold_op(row: Row, dot: bytes, refs: Sequence[bytes], op: Op) -> None:
    """Apply one op of the changeset ``dot``, whose references are ``refs``, to the registers of its row."""
    for write in op.writes:
        row.write(write.key, dot, [refs[index] for index in write.over], write.latest)
    if op.seen is not None:
        row.delete(dot, [refs[index] for index in op.seen])

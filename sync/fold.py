"""Folding changesets into registers: the same for what was made here and for what was received."""

from __future__ import annotations

from collections.abc import Iterable

from sync.core.changeset import Changeset
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
        for write in op.writes:
            slot.row.write(write.key, dot, [refs[index] for index in write.over], write.latest)
            slot.changed.add(write.key)
        if op.seen is not None:
            slot.row.delete(dot, [refs[index] for index in op.seen])

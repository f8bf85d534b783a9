"""Deriving registers and rows from the log anew: after a change of what counts, and to verify what stands in the tables."""

from __future__ import annotations

from collections.abc import Iterable

from sync import claims, log
from sync.core.changeset import Changeset
from sync.core.register import Row
from sync.db import sql
from sync.fold import fold, rows_of
from sync.models import Claim, Register
from sync.project import project
from sync.registers import TABLE, Batch, RowKey, add_to_digests, term
from sync.registry import all_specs, spec_of
from sync.values import Values


def apply(changesets: Iterable[Changeset]) -> None:
    """Fold ``changesets``, which are in the log already, into registers, rows and digest."""
    applied = list(changesets)
    batch = Batch()
    batch.load(rows_of(applied))
    for changeset in applied:
        fold(batch, changeset)
    batch.settle()
    rename(batch, claims.note(applied))
    project(batch, Values(applied))
    batch.save()


def rename(batch: Batch, moved: set[RowKey]) -> None:
    """Have the rows ``moved``, and those that repeat their names, show the names that their claims have now."""
    for key in _repeating(moved) if moved else ():
        batch.load([key])
        slot = batch.slots.get(key)
        model = spec_of(key.model)
        if slot is not None and model is not None:
            slot.dirty = True
            slot.changed.update(model.claimers)


def show_names(moved: set[RowKey]) -> None:
    """Have the rows ``moved`` show their names, where nothing else of them has changed."""
    if moved:
        batch = Batch()
        rename(batch, moved)
        project(batch, Values())
        batch.save()


def _repeating(moved: set[RowKey]) -> set[RowKey]:
    """Return ``moved`` and the rows that repeat a name of one of them."""
    found = set(moved)
    for model in all_specs():
        for label, reference in model.claimers.values():
            tokens = [key.token for key in moved if key.model == label]
            if reference and tokens:
                column = str(model.fields[reference].field.column)
                found |= {RowKey(model.label, token) for (token,) in sql.select_in(model.table, ["token"], column, tokens)}
    return found


def rebuild(rows: set[RowKey]) -> None:
    """Derive the registers of ``rows`` from all changesets that count now, and project them. O(log)."""
    if not rows:
        return
    batch = Batch()
    batch.load(rows)
    for slot in batch.slots.values():
        slot.row, slot.dirty = Row(), True
    for _, changeset in log.scan():
        fold(batch, changeset, only=rows)
    batch.settle()
    for slot in batch.slots.values():
        slot.changed.update(slot.row.heads)
        slot.projected = False  # every column is to be written
    project(batch, Values())
    batch.save()
    _drop_empty(batch)


def _drop_empty(batch: Batch) -> None:
    """Take out registers that nothing counts for any more."""
    empty = {key: slot for key, slot in batch.slots.items() if not slot.row.heads and not slot.row.deletes}
    sums: dict[str, int] = {}
    for key, slot in empty.items():
        sums[slot.scope] = sums.get(slot.scope, 0) - term(key, slot.row.encode())
    add_to_digests(sums)
    sql.delete_in(TABLE, "key", [key.stored for key in empty])


def retry_unprojected() -> int:
    """Project again what could not be shown, as after an upgrade; return how many rows are shown now."""
    keys = {RowKey(*row) for row in Register.objects.filter(projected=False).values_list("model", "token")}
    if not keys:
        return 0
    batch = Batch()
    batch.load(keys)
    for slot in batch.slots.values():
        slot.dirty = True
    rename(batch, _claim_again(keys))
    project(batch, Values())
    batch.save()
    return sum(batch.slots[key].projected for key in keys)


def _claim_again(keys: set[RowKey]) -> set[RowKey]:
    """Note the claims of rows whose model or field was not known when they came; return the rows that are renamed. O(log)."""
    moved: set[RowKey] = set()
    for _, changeset in log.scan():
        if not keys.isdisjoint(rows_of([changeset])):
            moved |= claims.forget([changeset.dot]) | claims.note([changeset])
    return moved


def claim_all() -> None:
    """Derive all claims from the log anew, and show the names that follow. O(log)."""
    Claim.objects.all().delete()
    show_names(set().union(*(claims.note([changeset]) for _, changeset in log.scan())))

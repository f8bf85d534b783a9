"""Deriving registers and rows from the log anew: after a change of what counts, and to verify what stands in the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.db import transaction

from sync import claims, fresh, log
from sync.core.changeset import Changeset
from sync.core.policy import TRUST
from sync.core.register import Row
from sync.db import sql
from sync.fold import fold, rows_of
from sync.models import Claim, Entry, Register
from sync.project import is_of_the_machine, project, project_each
from sync.registers import TABLE, Batch, RowKey, Slot, add_to_digests, term
from sync.registry import all_specs, spec_of
from sync.values import Values

CHUNK = 2000  # rows in memory at once


def apply(changesets: Iterable[Changeset], row_by_row: bool = False, is_quick: bool = False) -> None:
    """Fold ``changesets``, which are in the log already, into registers, rows and digest.

    ``row_by_row``: a row whose projection raises is marked as not projected; else everything raises. ``is_quick``: what ``fresh``
    takes is not folded.
    """
    applied = list(changesets)
    batch, once = Batch(), fresh.writers(applied)
    batch.load(once)
    moved = claims.note(applied)
    stored = fresh.store(batch, once, moved) if is_quick else fresh.Stored()
    rest = once.keys() - stored.rows
    for changeset in applied if rest else ():
        fold(batch, changeset, only=rest)
    batch.settle()
    rename(batch, moved)
    if row_by_row:
        project_each(batch, Values(applied))
    else:
        project(batch, Values(applied), stored.wholes, stored.rows)
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
        if changeset.head.scope != TRUST:
            fold(batch, changeset, only=rows)
    batch.settle()
    _finish(batch, Values())


def refold(rows: set[RowKey], fresh: Iterable[Changeset] = ()) -> None:
    """Derive ``rows`` anew after it has changed what counts; ``fresh`` are those that count now and did not before.

    Reads nothing but the history of these rows: whoever wrote to a register is a head, or is named by one that did.
    """
    if not rows:
        return
    batch = Batch()
    batch.load(rows)
    history = _history(batch, rows, fresh)
    for slot in batch.slots.values():
        slot.row, slot.dirty = Row(), True
    for changeset in history.values():
        fold(batch, changeset, only=rows)
    written = {
        (op.model, op.token, write.key, dot)
        for dot, changeset in history.items()
        for op in changeset.head.ops
        for write in op.writes
    }
    for key, slot in batch.slots.items():
        slot.row.forget(lambda name, dot, key=key: (*key, name, dot) in written)  # type: ignore[misc]
    _finish(batch, Values(history.values()))


def _history(batch: Batch, rows: set[RowKey], fresh: Iterable[Changeset]) -> dict[bytes, Changeset]:
    """Return what counts of the changesets that ever wrote to ``rows``: from the heads down, by what each overwrote."""
    found = {changeset.dot: changeset for changeset in fresh}
    wanted = {dot for slot in batch.slots.values() for dot in [*slot.row.dots(), *slot.row.deletes]} | _seen(
        found.values(), rows
    )
    passed = set(found)
    while wanted := wanted - passed:
        passed |= wanted
        read = log.changesets(wanted)
        found.update(read)
        wanted = _seen(read.values(), rows)
    counting = {dot for dot, entry in log.known(found).items() if entry.state == Entry.State.APPLIED}
    return {dot: changeset for dot, changeset in found.items() if dot in counting and changeset.head.scope != TRUST}


def _seen(changesets: Iterable[Changeset], rows: set[RowKey]) -> set[bytes]:
    """The dots that ``changesets`` overwrote in ``rows``."""
    found: set[bytes] = set()
    for changeset in changesets:
        indexes = {
            index for op in changeset.head.ops if (op.model, op.token) in rows for write in op.writes for index in write.over
        }
        refs = changeset.head.refs
        found.update(bytes.fromhex(refs[index]) for index in indexes)
    return found


def _finish(batch: Batch, values: Values) -> None:
    """Project all rows of ``batch``, whose registers were derived anew, and write them."""
    for slot in batch.slots.values():
        slot.changed.update(slot.row.heads)
        slot.projected = False  # every column is to be written
    alive = {key: slot.alive for key, slot in batch.slots.items()}
    try:
        with transaction.atomic():
            project(batch, values)
    except Exception as error:
        if is_of_the_machine(error):
            raise
        for key, slot in batch.slots.items():
            slot.alive = alive.get(key, slot.alive)
        project_each(batch, values)
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


def retry_rows() -> Iterator[tuple[RowKey, str]]:
    """Project again what could not be shown; yield each such row with the reason why it is still not (empty: it is shown)."""
    keys = [RowKey(*row) for row in Register.objects.filter(projected=False).values_list("model", "token")]
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        try:
            with transaction.atomic():
                slots = _retry(part, project)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            slots = _retry(part, project_each)
        yield from ((key, "" if slots[key].projected else slots[key].reason or "not shown") for key in part)
    show_names(_claim_again(set(keys)))


def _retry(keys: Iterable[RowKey], way: Callable[[Batch, Values], None]) -> dict[RowKey, Slot]:
    batch = Batch()
    batch.load(keys)
    for slot in batch.slots.values():
        slot.dirty = True
    way(batch, Values())
    batch.save()
    return batch.slots


def _claim_again(keys: set[RowKey]) -> set[RowKey]:
    """Note the claims of rows whose model or field was not known when they came; return the rows that are renamed. O(log)."""
    moved: set[RowKey] = set()
    for _, changeset in log.scan() if keys else ():
        if changeset.head.scope != TRUST and not keys.isdisjoint(rows_of([changeset])):
            moved |= claims.forget([changeset.dot]) | claims.note([changeset])
    return moved


def claim_all() -> None:
    """Derive all claims from the log anew, and show the names that follow. O(log)."""
    Claim.objects.all().delete()
    show_names(set().union(*(claims.note([changeset]) for _, changeset in log.scan())))

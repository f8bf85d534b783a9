"""Conflicts that somebody decided: found again from the log, and taken back.

``undo`` brings the conflict back as it was, and not just the former value: the other versions would be out of sight otherwise,
and whoever undoes wants to choose again. It is made of ordinary writes. The version that was shown is written again, over the
decision; each of the others is written again over what it had overwritten itself, knowing nothing of the decision. So they are
siblings once more, with the base that they had. For a row that was kept, it is deleted again by one who has seen no more than
the first deletion had; for one that was deleted, what the deletion took along is written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sync import log, merging
from sync.commit import Draft
from sync.conflicts import Version, names_of, parts_of, version
from sync.core.changeset import Changeset, Op, Write
from sync.core.errors import StaleError
from sync.fold import rows_of
from sync.models import Entry
from sync.registers import Batch, RowKey, Slot
from sync.registry import spec_of
from sync.resolving import deciding, field_of, opened, quietest, record, redraft
from sync.values import Values

LOOKED_AT = 1000  # changesets, the latest


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. ``kind``: ``value``, ``kept`` or ``deleted``; ``made`` is the write or the deletion that did it.

    ``field`` is the name of the register, None for a row. ``former``: of a value, the versions it overwrote, the shown one first.
    """

    kind: str
    model: str
    token: str
    field: str | None
    row: str
    made: Version
    former: tuple[Version, ...] = ()


def decisions(limit: int = 20, looked_at: int = LOOKED_AT) -> list[Decision]:
    """Return the latest decisions that can be undone, the latest first, among the last ``looked_at`` changesets."""
    found = list(islice(_search(looked_at), limit))
    names = names_of({RowKey(each.model, each.token) for each in found})
    return [replace(each, row=names[RowKey(each.model, each.token)]) for each in found]


def undo(model: str, token: str, field: str | None, dot: str) -> None:
    """Take back the decision ``dot`` about a register of a row, or about the row. Raises StaleError where it stands no more."""
    key = RowKey(model, token)
    with deciding():
        slot = opened(key)
        changeset = log.changesets([bytes.fromhex(dot)]).get(bytes.fromhex(dot))
        found = _found(key, field, changeset) if changeset else None
        if changeset is None or found is None:
            raise StaleError(f"this decision about {token} stands no more; somebody has changed it since")
        if found.kind == "value":
            _reopen(key, slot, found)
        elif found.kind == "kept":
            _delete_again(key, slot, changeset)
        else:
            _raise(key, slot, changeset)


def _found(key: RowKey, field: str | None, changeset: Changeset) -> Decision | None:
    batch = Batch()
    batch.load(rows_of([changeset]))
    decided = _decided(changeset, batch.slots, Values())
    return next((each for each in decided if (each.model, each.token, each.field) == (*key, field)), None)


def _reopen(key: RowKey, slot: Slot, decision: Decision) -> None:
    values, name = Values(), str(decision.field)
    shown, *others = [bytes.fromhex(each.dot) for each in decision.former]
    drafts = []
    for dot in others:  # the shown one last, that it be the greatest again
        drafts.append(Draft())
        redraft(drafts[-1], key, name, values, dot, values.over(key, name, dot))
    drafts.append(Draft())
    redraft(drafts[-1], key, name, values, shown, [bytes.fromhex(decision.made.dot)])
    record(slot.scope, *drafts)


def _delete_again(key: RowKey, slot: Slot, changeset: Changeset) -> None:
    """Delete the row again, and those of its parts that were kept with it."""
    batch, draft, refs = Batch(), Draft(), set(changeset.refs())
    kept = [RowKey(op.model, op.token) for op in changeset.head.ops]
    model = spec_of(key.model)
    parts = parts_of(key, model) if model else {}
    batch.load(kept)
    for each in (name for name in kept if name == key or name in parts):
        row = batch.slots[each].row
        if not row.unanswered():
            seen = set[bytes]().union(*(row.deletes[dot] for dot in refs & row.deletes.keys()))
            draft.ops.append(Op(*each, [], draft.index(sorted(seen))))
    record(slot.scope, draft)


def _raise(key: RowKey, slot: Slot, changeset: Changeset) -> None:
    """Write something of each row that ``changeset`` deleted, over the deletion."""
    keys = [RowKey(op.model, op.token) for op in changeset.head.ops if op.seen is not None]
    batch, values, draft = Batch(), Values(), Draft()
    batch.load(keys)
    for each in keys:
        row = batch.slots[each]
        if not row.alive and spec_of(each.model) is not None:
            name, head = quietest(each, row.row, values)
            redraft(draft, each, name, values, head, [head, changeset.dot])
    record(slot.scope, draft)


# -- finding them -----------------------------------------------------------------------------------------------------------------


def _search(looked_at: int) -> Iterator[Decision]:
    numbers = Entry.objects.filter(state=Entry.State.APPLIED).order_by("-position").values_list("dot", flat=True)[:looked_at]
    latest = [bytes(dot) for dot in numbers]
    for start in range(0, len(latest), 500):
        dots = latest[start : start + 500]
        changesets, values, batch = log.changesets(dots), Values(), Batch()
        likely = [changesets[dot] for dot in dots if _is_likely(changesets[dot])]
        batch.load(rows_of(likely))
        for changeset in likely:
            yield from _decided(changeset, batch.slots, values)


def _is_likely(changeset: Changeset) -> bool:
    """Whether a changeset may decide something: it deletes, or overwrites more than one thing at once."""
    return any(op.seen is not None or any(len(write.over) > 1 for write in op.writes) for op in changeset.head.ops)


def _decided(changeset: Changeset, slots: Mapping[RowKey, Slot], values: Values) -> Iterator[Decision]:
    for op in changeset.head.ops:
        key = RowKey(op.model, op.token)
        slot = slots.get(key)
        if slot is None or spec_of(op.model) is None:
            continue
        if op.seen is not None:
            yield from _deleted(changeset, key, slots, values)
        for write in op.writes:
            if len(write.over) > 1 and slot.alive:
                yield from _written(changeset, key, write, slot, values)


def _deleted(changeset: Changeset, key: RowKey, slots: Mapping[RowKey, Slot], values: Values) -> Iterator[Decision]:
    """A deletion of what an earlier one had not seen: of the row itself, or of a part that kept it."""
    row, dot = slots[key].row, changeset.dot
    earlier = [other for other in row.unanswered() if other != dot]
    if slots[key].alive or not earlier or dot not in row.unanswered():
        return
    parts = [slots[part].row for part in _parts_deleted(changeset, key, slots, values)]
    if any(row.deletes[dot] - row.deletes[other] or any(other not in part.deletes for part in parts) for other in earlier):
        yield Decision("deleted", *key, None, "", version(values, key, None, dot))


def _parts_deleted(changeset: Changeset, key: RowKey, slots: Mapping[RowKey, Slot], values: Values) -> Iterator[RowKey]:
    model = spec_of(key.model)
    compositions = {part.label: str(part.composition) for part in model.parts} if model else {}
    for op in changeset.head.ops:
        part = RowKey(op.model, op.token)
        if op.seen is not None and op.model in compositions and part in slots:
            name = compositions[op.model]
            if any(merging.said(values, part, name, dot) == key.token for dot in slots[part].row.heads.get(name, ())):
                yield part


def _written(changeset: Changeset, key: RowKey, write: Write, slot: Slot, values: Values) -> Iterator[Decision]:
    refs = changeset.refs()
    over = [refs[index] for index in write.over]
    if set(over) & slot.row.deletes.keys():
        if not slot.row.unanswered() and _is_kept_besides(key, slot, changeset.dot, over):
            yield Decision("kept", *key, None, "", version(values, key, write.key, changeset.dot))
        return
    former = [dot for dot in over if values.write(key, write.key, dot) is not None]
    if slot.row.heads.get(write.key) == (changeset.dot,) and _is_conflict(key, write.key, former, values):
        field, element = field_of(key, write.key)
        shown = merging.shown_head(values, key, field, element, former)
        order = sorted(former, key=lambda dot: (dot == shown, values.order(dot)), reverse=True)
        versions = tuple(version(values, key, write.key, dot, dot == shown) for dot in order)
        yield Decision("value", *key, write.key, "", version(values, key, write.key, changeset.dot, True), versions)


def _is_kept_besides(key: RowKey, slot: Slot, dot: bytes, over: Sequence[bytes]) -> bool:
    """Whether something else than the write ``dot`` kept the row, so that there was something to decide."""
    deletes = slot.row.deletes
    seen = frozenset().union(*deletes.values())
    model = spec_of(key.model)
    unseen = {*(other for dots in slot.row.unseen().values() for other in dots), *over} - seen - deletes.keys() - {dot}
    return bool(unseen) or (model is not None and bool(parts_of(key, model)))


def _is_conflict(key: RowKey, name: str, dots: Sequence[bytes], values: Values) -> bool:
    try:
        field, element = field_of(key, name)
    except StaleError:
        return False
    if len(dots) < 2 or field.policy in ("set", "latest"):
        return False
    said = {repr(merging.said(values, key, name, dot)) for dot in dots}
    return len(said) > 1 and merging.merged(values, key, field, element, dots) is None

"""Compaction: a replica that is no master drops values that nobody sees any more and that a master holds; heads stay for ever.

Segments are packed anew in the order of arrival, small ones together, some hundred changesets in a transaction. A kill at any
moment leaves the log as it was or as it is to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max

from sync import acknowledged, conf, local, log, space
from sync.core.changeset import Changeset
from sync.core.errors import NotAllowedError
from sync.core.policy import TRUST, Role
from sync.core.wire import MAX_FRAME_CHANGESETS
from sync.fold import rows_of
from sync.log import Known
from sync.models import Entry, Local, Segment
from sync.registers import Batch, RowKey
from sync.registry import ModelSpec, spec_of

CHUNK = 5 * MAX_FRAME_CHANGESETS  # changesets of one transaction
CHUNK_BYTES = 8 << 20  # of their segments, compressed
NEVER = ("claim", "set")  # policies of fields whose values all count, for ever


@dataclass(slots=True)
class Report:
    """What was done: counts of segments, values, and bytes (of the values, and of the database)."""

    masters: list[str] = field(default_factory=list)
    changesets: int = 0
    segments_before: int = 0
    segments_after: int = 0
    values_dropped: int = 0
    bytes_dropped: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


def compact(progress: Callable[[int], None] = lambda count: None) -> Report:
    """Drop what may be dropped, pack the log, give free pages back. Raises NotAllowedError on a master."""
    if conf.role() == Role.MASTER:
        raise NotAllowedError(
            f"{conf.name()} is a master: masters keep every value, so that all others can fetch again what they drop"
        )
    holdings = acknowledged.by_masters()
    report = Report(masters=sorted(holdings), bytes_before=space.used(), segments_before=Segment.objects.count())
    position = 0
    while (last := _compact_after(position, holdings, report)) is not None:
        progress(report.changesets)
        position = last
    space.give_back()
    report.segments_after, report.bytes_after = Segment.objects.count(), space.used()
    return report


def _compact_after(position: int, holdings: dict[str, acknowledged.Holding], report: Report) -> int | None:
    """Compact the next segments; return the position of their last changeset, None where there are no more."""
    with transaction.atomic():
        local.take_turn()
        numbers, last = _next(position)
        if not numbers:
            return None
        held = [changeset for number in numbers for changeset in log.segment(number)]
        lean = list(_without_superseded(held, holdings, report))
        report.changesets += len(lean)
        dropped = any(len(before.values) > len(after.values) for before, after in zip(held, lean, strict=True))
        if dropped or len(numbers) >= 2 * log.count_filled(lean) > 0:
            log.repack(numbers, lean)
        if dropped:
            Local.objects.filter(pk=1, sparse=False).update(sparse=True)
        return last


def _next(position: int) -> tuple[list[int], int]:
    """Return the segments after ``position`` that one transaction takes, in order, and the position of their last changeset."""
    entries = Entry.objects.filter(position__gt=position).order_by("position")
    numbers = list(dict.fromkeys(entries.values_list("segment_id", flat=True)[:CHUNK]))
    sizes = space.sizes(Segment._meta.db_table, "frame", numbers)
    taken, filled = list[int](), 0
    for number in numbers:
        filled += sizes.get(number, 0)
        if taken and filled > CHUNK_BYTES:
            break
        taken.append(number)
    last = Entry.objects.filter(segment__in=taken).aggregate(last=Max("position"))["last"] if taken else None
    return taken, last or position


def _without_superseded(
    held: Sequence[Changeset], holdings: dict[str, acknowledged.Holding], report: Report
) -> Iterable[Changeset]:
    places = log.known(changeset.dot for changeset in held)
    rich = [changeset for changeset in held if changeset.values and _may_lose(changeset, places[changeset.dot], holdings)]
    batch = Batch()
    batch.load(rows_of(rich))
    losing = {changeset.dot: _superseded(changeset, batch) for changeset in rich}
    for changeset in held:
        gone = losing.get(changeset.dot, set()) & changeset.values.keys()
        report.values_dropped += len(gone)
        report.bytes_dropped += sum(len(changeset.values[digest]) for digest in gone)
        kept = {digest: text for digest, text in changeset.values.items() if digest not in gone}
        yield changeset.with_values(kept) if gone else changeset


def _may_lose(changeset: Changeset, entry: Known, holdings: dict[str, acknowledged.Holding]) -> bool:
    """What does not count may count tomorrow, and the trusted list is read as a whole; nothing is dropped that no master holds."""
    if entry.state != Entry.State.APPLIED or changeset.head.scope == TRUST:
        return False
    return any(holding.has(entry) for holding in holdings.values())


def _may_go(model: ModelSpec | None, name: str) -> bool:
    """Of a claim every value counts; of a row that is made once the first one, whoever wrote over it."""
    field = model.fields.get(name) if model is not None and not model.immutable else None
    return field is not None and field.policy not in NEVER


def _superseded(changeset: Changeset, batch: Batch) -> set[str]:
    """Return the digests of values that no register shows, and that no merge of open siblings could ask for."""
    kept, seen = set[str](), set[str]()
    for op in changeset.head.ops:
        slot = batch.slots.get(RowKey(op.model, op.token))
        model = spec_of(op.model)
        for write in op.writes:
            if isinstance(write.value, dict):
                heads = slot.row.heads.get(write.key, ()) if slot else ()
                is_gone = _may_go(model, write.field) and len(heads) == 1 and changeset.dot not in heads
                (seen if is_gone else kept).add(write.value["#"])
    return seen - kept

"""The log: every changeset this replica holds, in order of arrival, as signed by its origin.

Arrival order is causally closed, since a replica appends what it received in stream order and its own after what it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import NamedTuple

from django.db.models import QuerySet

from sync.core import wire
from sync.core.changeset import ChainKey, Changeset
from sync.core.clock import Timestamp
from sync.db import sql
from sync.models import Chain, Entry, Segment, Tip

ENTRY = Entry._meta.db_table
COLUMNS = ("dot", "position", "chain_id", "seq", "ms", "counter", "segment_id", "state")


class Known(NamedTuple):
    """Where a changeset stands in the log."""

    dot: bytes
    position: int
    chain: int
    seq: int
    ms: int
    counter: int
    segment: int
    state: int

    @property
    def stamp(self) -> Timestamp:
        """Its clock."""
        return Timestamp(self.ms, self.counter)


class Record(NamedTuple):
    """A changeset to append, with what was decided about it."""

    changeset: Changeset
    chain: int
    state: int
    reason: str = ""


def known(dots: Iterable[bytes]) -> dict[bytes, Known]:
    """Return what the log holds of ``dots``."""
    found = (Known(bytes(row[0]), *row[1:]) for row in sql.select_in(ENTRY, COLUMNS, "dot", list(dots)))
    return {entry.dot: entry for entry in found}


def waiting() -> QuerySet[Entry]:
    """Return the entries that do not count, by the index that has only these.

    A database takes such an index only where its condition stands in the statement as a literal: it would read the whole log else.
    """
    return Entry.objects.extra(where=[f"{ENTRY}.state > 0"])  # noqa: S610


def chain(key: ChainKey, public_key: str) -> Chain:
    """Return the chain of this name, made with ``public_key`` where it is new."""
    return Chain.objects.get_or_create(
        name=key.name, incarnation=key.incarnation, scope=key.scope, defaults={"key": public_key}
    )[0]


def chains(numbers: Iterable[int]) -> dict[int, tuple[ChainKey, str]]:
    """Return name and public key of the chains ``numbers``."""
    columns = ("id", "name", "incarnation", "scope", "key")
    rows = sql.select_in(Chain._meta.db_table, columns, "id", set(numbers))
    return {number: (ChainKey(*name), key) for number, *name, key in rows}


def append(frame: bytes, records: Sequence[Record]) -> None:
    """Append ``records``, which are just what ``frame`` holds, and move the tips of their chains."""
    append_all([(frame, records)])


def append_all(parts: Sequence[tuple[bytes, Sequence[Record]]]) -> None:
    """Append frames, each with the records of just what it holds, in order; the same few statements for any number of them."""
    segments = Segment.objects.bulk_create([Segment(frame=frame) for frame, _ in parts])
    rows = [
        (chain, changeset.head.seq, changeset.dot, changeset.prev, *changeset.head.clock, segment.pk, state, reason)
        for segment, (_, records) in zip(segments, parts, strict=True)
        for changeset, chain, state, reason in records
    ]
    sql.insert(ENTRY, ("chain_id", "seq", "dot", "prev", "ms", "counter", "segment_id", "state", "reason"), rows)
    _move_tips([record for _, records in parts for record in records])


def _move_tips(records: Sequence[Record]) -> None:
    passed = {record.changeset.prev for record in records if record.changeset.prev is not None}
    here = {record.changeset.dot for record in records}
    sql.delete_in(Tip._meta.db_table, "dot", passed - here)
    ends = [(r.changeset.dot, r.chain, r.changeset.head.seq) for r in records if r.changeset.dot not in passed]
    sql.insert(Tip._meta.db_table, ("dot", "chain_id", "seq"), ends)


def pack(changesets: Iterable[Changeset]) -> bytes:
    """Return one frame that holds ``changesets``."""
    return wire.pack(b"".join(wire.lines_of(c.raw, c.signature, c.values.values()) for c in changesets))


def segment(number: int) -> list[Changeset]:
    """Return the changesets of one segment."""
    frame = bytes(Segment.objects.values_list("frame", flat=True).get(pk=number))
    return wire.parse(frame, wire.unpack(frame)).changesets


def changesets(dots: Iterable[bytes], read: Callable[[int], Sequence[Changeset]] | None = None) -> dict[bytes, Changeset]:
    """Return the changesets ``dots``, read from their segments, by ``read`` if given. Unknown ones are left out."""
    wanted = known(dots)
    found: dict[bytes, Changeset] = {}
    for number in sorted({entry.segment for entry in wanted.values()}):
        with suppress(Segment.DoesNotExist):
            found.update((c.dot, c) for c in (read or segment)(number) if c.dot in wanted)
    # What is not where it was a moment ago has been packed into another segment meanwhile.
    moved = {dot: entry for dot, entry in known(wanted.keys() - found.keys()).items() if entry != wanted[dot]}
    return {**found, **(changesets(moved, read) if moved else {})}


def scan(state: int | None = Entry.State.APPLIED, scope: str | None = None) -> Iterator[tuple[Known, Changeset]]:
    """Yield all changesets in order of arrival, a segment in memory at a time; by ``state`` and ``scope`` unless None."""
    position = 0
    while True:
        query = Entry.objects.filter(position__gt=position).order_by("position")
        if state is not None:
            query = query.filter(state=state)
        if scope is not None:
            query = query.filter(chain__scope=scope)
        batch = [Known(bytes(row[0]), *row[1:]) for row in query.values_list(*COLUMNS)[:500]]
        if not batch:
            return
        yield from _with_changesets(batch)
        position = batch[-1].position


def of_chain(chain_id: int) -> Iterator[tuple[Known, Changeset]]:
    """Yield all changesets of one chain in order of arrival, whether they count or not."""
    return at(list(Entry.objects.filter(chain=chain_id).order_by("position").values_list("position", flat=True)))


def at(positions: Sequence[int]) -> Iterator[tuple[Known, Changeset]]:
    """Yield the changesets at ``positions``, which are sorted, a segment in memory at a time."""
    for start in range(0, len(positions), sql.CHUNK):
        rows = sql.select_in(ENTRY, COLUMNS, "position", positions[start : start + sql.CHUNK])
        yield from _with_changesets(sorted((Known(bytes(row[0]), *row[1:]) for row in rows), key=lambda entry: entry.position))


def _with_changesets(batch: Sequence[Known]) -> Iterator[tuple[Known, Changeset]]:
    for number, group in groupby(batch, key=lambda entry: entry.segment):
        entries = list(group)
        try:
            held = {c.dot: c for c in segment(number)}
        except Segment.DoesNotExist:
            held = changesets(entry.dot for entry in entries)
        yield from ((entry, held[entry.dot]) for entry in entries)


def repack(numbers: Collection[int], held: Iterable[Changeset]) -> int:
    """Keep ``held``, which are just the changesets of the segments ``numbers``, by order of arrival, in new ones, each filled up.

    Returns how many segments that makes. Called within a transaction.
    """
    count = 0
    for lines, dots in _filled(held):
        new = Segment.objects.create(frame=wire.pack(b"".join(lines))).pk
        sql.update(ENTRY, "dot", ["segment_id"], [(new, dot) for dot in dots])
        count += 1
    sql.delete_in(Segment._meta.db_table, "id", numbers)
    return count


def count_filled(held: Iterable[Changeset]) -> int:
    """Return how many segments ``repack`` would make of ``held``."""
    return sum(1 for _ in _filled(held))


def _filled(held: Iterable[Changeset]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Yield lines and dots of as many changesets as one segment takes."""
    lines, dots, size = list[bytes](), list[bytes](), 0
    for changeset in held:
        line = wire.lines_of(changeset.raw, changeset.signature, changeset.values.values())
        if dots and (size + len(line) > wire.FRAME_BYTES or len(dots) >= wire.MAX_FRAME_CHANGESETS):
            yield lines, dots
            lines, dots, size = [], [], 0
        lines.append(line)
        dots.append(changeset.dot)
        size += len(line)
    if dots:
        yield lines, dots


def path_to(ends: Iterable[bytes], chain_id: int | None = None) -> set[bytes]:
    """Return ``ends``, of the chain ``chain_id`` if given, and their ancestors. O(chain), in few statements whatever its shape."""
    found: set[bytes] = set()
    by_chain: dict[int, list[Known]] = {}
    for entry in known(ends).values():
        if chain_id in (None, entry.chain):
            by_chain.setdefault(entry.chain, []).append(entry)
    for number, entries in by_chain.items():
        wanted = {entry.dot for entry in entries}
        rows = Entry.objects.filter(chain=number, seq__lte=max(entry.seq for entry in entries)).order_by("-seq")
        # A parent has the number before, so it comes after its children.
        for dot, prev in rows.values_list("dot", "prev").iterator(chunk_size=2000):
            if bytes(dot) in wanted:
                found.add(bytes(dot))
                wanted |= {bytes(prev)} if prev else set()
    return found

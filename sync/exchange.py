"""What a peer lacks, and the stream that brings it. A replica says for each chain which tips it holds; the rest follows.

Scopes are never mixed up: only chains that both sides may hold are compared, named or sent.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sync import conf, local, log, trusting
from sync.core import wire
from sync.core.changeset import ChainKey, Changeset
from sync.core.errors import MalformedError
from sync.core.policy import TRUST, Party, is_entitled
from sync.log import Known
from sync.models import Chain, Entry, Segment

MAX_TIPS = 100_000
PAGE = 500


class TipAt(NamedTuple):
    """An end of a chain."""

    chain: ChainKey
    seq: int
    dot: bytes


def tips_between(me: Party, peer: Party) -> list[TipAt]:
    """Return the tips of all chains here that both sides may hold, and that the trusted list has a key for, sorted."""
    tips = [TipAt(*tip) for tip in log.tips() if is_entitled(me, tip[0].scope) and is_entitled(peer, tip[0].scope)]
    keyless = _keyless()
    return [tip for tip in tips if tip.chain not in keyless]


def _keyless() -> set[ChainKey]:
    """The chains whose key is on the list no more, as of an incarnation that nobody had seen when its key was revoked.

    No other replica could check or would take them, and offering them would make every exchange look unfinished for ever.
    """
    entries = trusting.current().entries
    return {
        ChainKey(name, incarnation, scope)
        for name, incarnation, scope, key in Chain.objects.values_list("name", "incarnation", "scope", "key")
        if (entry := entries.get(name)) is None or entry.key_for(incarnation) != key
    }


def summary(tips: Iterable[TipAt]) -> str:
    """Return 64 hex digits, equal where two replicas hold the same changesets.

    SHA-256 over the sorted lines ``name incarnation scope seq dot``, each ended by a newline.
    """
    digest = hashlib.sha256()
    for tip in sorted(tips):
        digest.update(f"{' '.join(tip.chain)} {tip.seq} {tip.dot.hex()}\n".encode())
    return digest.hexdigest()


def tips_as_json(tips: Iterable[TipAt]) -> list[list[Any]]:
    """Return ``tips`` as lists [name, incarnation, scope, seq, dot in hex]."""
    return [[*tip.chain, tip.seq, tip.dot.hex()] for tip in tips]


def tips_from_json(value: Any) -> list[TipAt]:
    """Return the tips of a peer's JSON. Raises MalformedError."""
    try:
        if len(value) > MAX_TIPS:
            raise MalformedError(f"{len(value)} tips are too many")
        found = [TipAt(ChainKey(str(n), str(i), str(s)), int(seq), bytes.fromhex(dot)) for n, i, s, seq, dot in value]
    except (TypeError, ValueError) as error:
        raise MalformedError(f"tips are lists of name, incarnation, scope, seq, dot: {error}") from None
    return found


def count_missing(held: Iterable[TipAt], wanted: Iterable[TipAt]) -> int:
    """Return how many changesets ``wanted`` has that ``held`` has not, as far as the numbers say."""
    best: dict[ChainKey, int] = {}
    for tip in held:
        best[tip.chain] = max(best.get(tip.chain, 0), tip.seq)
    most: dict[ChainKey, int] = {}
    for tip in wanted:
        most[tip.chain] = max(most.get(tip.chain, 0), tip.seq)
    return sum(max(0, seq - best.get(chain, 0)) for chain, seq in most.items())


def missing(have: Sequence[TipAt], me: Party, peer: Party) -> Iterator[Known]:
    """Yield what is here and not at a peer that has ``have``: the trusted list first, then by order of arrival.

    Reads in pages, so that memory is bounded. A tip that is unknown here counts as nothing held, unless it lies ahead.
    """
    theirs: dict[ChainKey, list[TipAt]] = {}
    for tip in have:
        theirs.setdefault(tip.chain, []).append(tip)
    starts = {key: _start(key, theirs.get(key, []), ends) for key, ends in _ours(me, peer).items()}
    chains = {chain.pk: chain for chain in Chain.objects.all()}
    by_key = {ChainKey(c.name, c.incarnation, c.scope): pk for pk, c in chains.items()}
    lagging = {key: start for key, start in starts.items() if start is not None}
    for is_trust in (True, False):
        streams = [_entries(by_key[key], start) for key, start in lagging.items() if (key.scope == TRUST) is is_trust]
        yield from heapq.merge(*streams, key=lambda entry: entry.position)


def _ours(me: Party, peer: Party) -> dict[ChainKey, list[TipAt]]:
    found: dict[ChainKey, list[TipAt]] = {}
    for tip in tips_between(me, peer):
        found.setdefault(tip.chain, []).append(tip)
    return found


def _start(key: ChainKey, theirs: Sequence[TipAt], ours: Sequence[TipAt]) -> int | None:
    """Return the sequence after which a chain is to be sent; None where nothing is."""
    if {tip.dot for tip in theirs} == {tip.dot for tip in ours}:
        return None
    known = log.known(tip.dot for tip in theirs)
    if len(theirs) == 1 and len(ours) == 1:
        tip = theirs[0]
        if tip.dot in known:
            return tip.seq
        return None if tip.seq > ours[0].seq else 0
    return 0


def _entries(chain: int, after: int) -> Iterator[Known]:
    while True:
        query = Entry.objects.filter(chain=chain, seq__gt=after).order_by("seq", "position")
        page = [Known(bytes(row[0]), *row[1:]) for row in query.values_list(*log.COLUMNS)[:PAGE]]
        if len(page) == PAGE:  # a fork may have several of one number: never cut between them
            last = page[-1].seq
            page = [entry for entry in page if entry.seq < last] or page
        yield from page
        if not page:
            return
        after = page[-1].seq


def frames(entries: Iterable[Known]) -> Iterator[tuple[bytes, int]]:
    """Yield zstd frames with ``entries``, each with the number of changesets in it.

    A segment that is wanted whole is passed on as it is kept; others are packed anew, small ones together.
    """
    lines: list[bytes] = []
    size = count = 0
    for number, group in groupby(entries, key=lambda entry: entry.segment):
        wanted = {entry.dot for entry in group}
        raw = bytes(Segment.objects.values_list("frame", flat=True).get(pk=number))
        changesets = wire.parse(raw, wire.unpack(raw)).changesets
        if len(changesets) == len(wanted) > 1:
            if lines:
                yield wire.pack(b"".join(lines)), count
                lines, size, count = [], 0, 0
            yield raw, len(wanted)
            continue
        for changeset in changesets:
            if changeset.dot in wanted:
                lines.append(_lines(changeset))
                size, count = size + len(lines[-1]), count + 1
        if size >= wire.FRAME_BYTES or count >= wire.MAX_FRAME_CHANGESETS:
            yield wire.pack(b"".join(lines)), count
            lines, size, count = [], 0, 0
    if lines:
        yield wire.pack(b"".join(lines)), count


def _lines(changeset: Changeset) -> bytes:
    return wire.lines_of(changeset.raw, changeset.signature, changeset.values.values())


def stream(have: Sequence[TipAt], me: Party, peer: Party) -> Iterator[bytes]:
    """Yield the whole answer to a pull: a first line, frames, a last line with the count."""
    first = {"protocol": 1, "name": conf.name(), "time": local.wall_ms(), "tips": tips_as_json(tips_between(me, peer))}
    yield wire.pack(wire.control("H", first))
    total = 0
    for frame, count in frames(missing(have, me, peer)):
        total += count
        yield frame
    yield wire.pack(wire.control("E", {"count": total}))

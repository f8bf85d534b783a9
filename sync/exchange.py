"""What a peer lacks, and the stream that brings it. A replica says for each chain which tips it holds; the rest follows.

Scopes are never mixed up: only chains that both sides may hold are compared, named or sent.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import connection

from sync import ancestry, conf, keys, local, log
from sync.core import wire
from sync.core.changeset import ChainKey, Changeset
from sync.core.errors import MalformedError
from sync.core.policy import TRUST, Party
from sync.db import sql
from sync.ends import TipAt, by_chain, chains_here
from sync.log import Known
from sync.models import Entry, Segment

MAX_TIPS = 100_000
PAGE = 500
READ = 200  # changesets whose segments are read at once


def tips_between(me: Party, peer: Party) -> list[TipAt]:
    """Return the tips of all chains here that both sides may hold, and that the trusted list has a key for, sorted."""
    return list(chains_here().between(me, peer).tips)


def summary_between(me: Party, peer: Party) -> str:
    """Return the ``summary`` of these."""
    return chains_here().between(me, peer).summary


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


def missing(have: Sequence[TipAt], me: Party, peer: Party, asks_again: bool = False) -> Iterator[Known]:
    """Yield what is here and not at a peer that has ``have``, tips and others: the trusted list first, then by order of arrival.

    Reads in pages, so that memory is bounded. A peer that ``asks_again`` is sent nothing of a chain of which nothing that it
    has is known here.
    """
    lags = list(_lags(have, tips_between(me, peer)))
    for is_trust in (True, False):
        streams = [lag.entries(asks_again) for lag in lags if (lag.chain.scope == TRUST) is is_trust]
        yield from heapq.merge(*streams, key=lambda entry: entry.position)


def together(theirs: Sequence[TipAt], ours: Sequence[TipAt]) -> list[TipAt]:
    """Return the ends of what a peer holds that had ``theirs`` and was given all up to ``ours``, which are the tips here."""
    others = set(theirs).difference(ours)
    known = log.known(tip.dot for tip in others)
    return [*ours, *sorted(tip for tip in others if tip.dot not in known)]


Places = Mapping[bytes, Known]


def count_missing(have: Sequence[TipAt], ours: Sequence[TipAt], places: Places | None = None) -> int:
    """Return how many changesets a peer with ``have`` lacks of those at and below ``ours``; as far as it can be known here.

    ``places`` is what the log knows of these tips, where that was read before.
    """
    return sum(lag.count() for lag in _lags(have, ours, places))


def count_unknown(theirs: Sequence[TipAt], ours: Sequence[TipAt], places: Places | None = None) -> int:
    """Return how many changesets a peer with the tips ``theirs`` has that are not here, as far as the numbers say."""
    others = set(theirs).difference(ours)
    if not others:
        return 0
    known = log.known(tip.dot for tip in others) if places is None else places
    best: dict[ChainKey, int] = {}
    for tip in ours:
        best[tip.chain] = max(best.get(tip.chain, 0), tip.seq)
    return sum(max(1, tip.seq - best.get(tip.chain, 0)) for tip in others if tip.dot not in known)


def _lags(have: Sequence[TipAt], ours: Sequence[TipAt], places: Places | None = None) -> Iterator[_Lag]:
    """Yield the chains of ``ours`` of which a peer with ``have`` lacks something. What is equal costs a look, and no statement."""
    there = set(have)
    behind = {tip.chain for tip in ours if tip not in there}
    if not behind:
        return
    theirs, here = (by_chain(tip for tip in tips if tip.chain in behind) for tips in (have, ours))
    known = places
    if known is None:
        known = log.known(tip.dot for chain, tips in here.items() for tip in [*tips, *theirs.get(chain, [])])
    for chain, tips in here.items():
        told, ends = theirs.get(chain, []), [known[tip.dot] for tip in tips]
        yield _Lag(chain, ends, told, [known[t.dot] for t in told if t.dot in known and known[t.dot].chain == ends[0].chain])


@dataclass(frozen=True, slots=True)
class _Lag:
    """A chain of which the peer lacks something: its tips here, what the peer has of it, and what of that is known here."""

    chain: ChainKey
    ends: list[Known]
    told: list[TipAt]
    held: list[Known]

    @property
    def is_ahead(self) -> bool:
        """Whether the peer, none of whose changesets is known here, seems to have all that is here and more."""
        return bool(self.told) and min(tip.seq for tip in self.told) > max(end.seq for end in self.ends)

    def entries(self, asks_again: bool) -> Iterator[Known]:
        """Yield what is to be sent."""
        chain = self.ends[0].chain
        if not self.held:
            return iter(()) if self.is_ahead or (self.told and asks_again) else _entries(chain, 0)
        if len(self.ends) == 1:
            return _entries(chain, max(place.seq for place in self.held))
        return iter(sorted(log.known(ancestry.lacking(self.ends, self.held)).values(), key=lambda entry: entry.position))

    def count(self) -> int:
        """Return how many that are; of a fork whose beginning is not known here, as far as the numbers say."""
        top, known = max(end.seq for end in self.ends), {place.dot for place in self.held}
        if any(tip.seq > top and tip.dot not in known for tip in self.told):
            return 0  # it seems to have more
        if self.held and len(self.ends) > 1:
            return len(ancestry.lacking(self.ends, self.held))
        if self.held:
            return max(0, top - max(place.seq for place in self.held))
        if self.told:
            return max(1, top - max(tip.seq for tip in self.told))
        return Entry.objects.filter(chain=self.ends[0].chain).count() if len(self.ends) > 1 else top


def markers(tips: Iterable[TipAt]) -> list[TipAt]:
    """Return some changesets below ``tips``, ever farther apart: enough to find out with a peer where a chain was forked."""
    found: list[TipAt] = []
    for chain, ends in by_chain(tips).items():
        place = log.known([ends[0].dot])[ends[0].dot]
        found += [TipAt(chain, seq, dot) for seq, dot in ancestry.markers(place.chain, max(end.seq for end in ends))]
    return found


_PAGE = f"SELECT {', '.join(log.COLUMNS)} FROM {log.ENTRY} WHERE chain_id = %s AND seq > %s ORDER BY seq, position LIMIT {PAGE}"  # noqa: S608


def _entries(chain: int, after: int) -> Iterator[Known]:
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, [chain, after])
            page = [Known(bytes(row[0]), *row[1:]) for row in cursor.fetchall()]
        is_last = len(page) < PAGE
        if len(page) == PAGE:  # a fork may have several of one number: never cut between them
            last = page[-1].seq
            page = [entry for entry in page if entry.seq < last] or page
        yield from page
        if is_last:
            return
        after = page[-1].seq


def frames(entries: Iterable[Known]) -> Iterator[tuple[bytes, int]]:
    """Yield zstd frames with ``entries``, each with the number of changesets in it.

    A segment that is wanted whole is passed on as it is kept; others are packed anew, small ones together. Nothing is decoded.
    """
    lines: list[bytes] = []
    size = count = 0
    for raw, text, dots in _segments(entries):
        is_whole = wire.count(text) == len(dots)
        if raw and len(dots) > 1 and is_whole:
            if lines:
                yield wire.pack(b"".join(lines)), count
                lines, size, count = [], 0, 0
            yield raw, len(dots)
            continue
        lines.append(text if is_whole else b"".join(part for dot, part in wire.split(text) if dot in dots))
        size, count = size + len(lines[-1]), count + len(dots)
        if size >= wire.FRAME_BYTES or count >= wire.MAX_FRAME_CHANGESETS:
            yield wire.pack(b"".join(lines)), count
            lines, size, count = [], 0, 0
    if lines:
        yield wire.pack(b"".join(lines)), count


def _segments(entries: Iterable[Known]) -> Iterator[tuple[bytes, bytes, set[bytes]]]:
    """Yield for each segment in which ``entries`` stand: the frame, its lines, which of its changesets are wanted.

    The frame is empty where a segment was packed into another one meanwhile; then the lines are just those that are wanted.
    """
    for part in _parts((number, {entry.dot for entry in group}) for number, group in groupby(entries, key=lambda e: e.segment)):
        raw = dict(sql.select_in(Segment._meta.db_table, ("id", "frame"), "id", [number for number, _ in part]))
        for number, dots in part:
            if number in raw:
                frame = bytes(raw.pop(number))
                yield frame, wire.unpack(frame), dots
            else:
                yield b"", b"".join(map(_lines, log.changesets(dots).values())), dots


def _parts(groups: Iterable[tuple[int, set[bytes]]]) -> Iterator[list[tuple[int, set[bytes]]]]:
    """Yield ``groups`` of segments in lists, each of which is read by one statement and fits into memory; no segment twice in one."""
    part: dict[int, set[bytes]] = {}
    count = 0
    for number, dots in groups:
        if count >= READ or number in part:
            yield list(part.items())
            part, count = {}, 0
        part[number] = dots
        count += len(dots)
    if part:
        yield list(part.items())


def _lines(changeset: Changeset) -> bytes:
    return wire.lines_of(changeset.raw, changeset.signature, changeset.values.values())


def stream(
    have: Sequence[TipAt], me: Party, peer: Party, asks_again: bool = False, missing_values: Sequence[Any] = ()
) -> Iterator[bytes]:
    """Yield the whole answer to a pull: a first line, frames, a last line with the count. See ``missing``.

    ``missing_values`` are the values that are wanted here, as the first line says.
    """
    first = {
        "protocol": 1,
        "name": conf.name(),
        "key": keys.public_text(),
        "time": local.now_ms(local.state()),
        "tips": tips_as_json(tips_between(me, peer)),
    }
    first["values_missing"] = missing_values
    before, total = wire.pack(wire.control("H", first)), 0  # sent with what follows it: each piece wakes the receiver
    for frame, count in frames(missing(have, me, peer, asks_again)):
        total += count
        yield before + frame
        before = b""
    yield before + wire.pack(wire.control("E", {"count": total}))

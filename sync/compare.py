"""Comparing this replica with a peer: which rows differ, in which fields, and whether one of the two just has not all yet."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import orjson

from sync import exchange, log, trusting
from sync.client import Peer
from sync.core.changeset import ChainKey
from sync.core.errors import MalformedError, NeedsOperatorError, PeerRefusedError
from sync.core.register import Row
from sync.peers import Listed
from sync.ranges import MAX_RANGES, MAX_ROWS, Range, Seen, fields_of_both, own_fields, rows_in, rows_named, strays, total
from sync.registers import RowKey
from sync.verify import Difference

FIRST = 20_000  # rows of the widest range that is asked for
LOOKS = 2  # a difference is one if it is still there at the second look: both sides may be writing


def compare(peer: Listed) -> dict[str, Any]:
    """Return ``name``, ``behind`` and ``ahead`` (changesets), ``requests``, and ``differences`` with ``peer``. May raise SyncError.

    Each difference has, beside what a ``Difference`` has, ``by``, the name of the peer, and ``why``: ``behind`` where the peer
    holds writes to the row that are not here, ``ahead`` the other way round, ``apart`` where both is so, and ``differs`` where
    both hold the same writes: then one of the two has a row that does not follow from them.
    """
    try:
        return _Comparison(peer, Peer(peer.name, peer.url)).run()
    except (LookupError, TypeError, ValueError) as error:
        raise MalformedError(f"what {peer.name} answers to a comparison cannot be read: {error!r}") from None


class _Comparison:
    """One conversation."""

    def __init__(self, peer: Listed, client: Peer) -> None:
        self.peer, self.client = peer, client
        self.me, self.requests = trusting.me(), 0
        self.fields: dict[str, list[str]] = {}

    def run(self) -> dict[str, Any]:
        first = self._ask({"models": own_fields(), "unwritten": True})
        self.fields = fields_of_both(first.get("models"))
        stray = [RowKey(str(model), str(token)) for model, token in first.get("unwritten", [])]
        suspects = [*self._suspects(), *stray, *strays(self.fields)]
        for _ in range(LOOKS):
            found = list(self._differences(suspects))
            suspects = [RowKey(d.model, d.token) for d, _ in found]
        theirs = exchange.tips_from_json(self._ask({"models": self.fields}).get("tips"))
        mine = exchange.tips_between(self.me, self.peer.party)
        return {
            "name": self.peer.name,
            "behind": exchange.count_unknown(theirs, mine),
            "ahead": exchange.count_missing(theirs, mine),
            "requests": self.requests,
            "differences": [{**d.as_json(), "by": self.peer.name, "why": why(states, theirs)} for d, states in found],
        }

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        try:
            return self.client.json("POST", "verify", orjson.dumps(body))
        except PeerRefusedError as error:
            if error.code in ("not_found", "http_404"):
                raise NeedsOperatorError(f"{self.peer.name} runs a release that cannot be compared with; upgrade it") from None
            raise

    # Narrowing down

    def _suspects(self) -> list[RowKey]:
        waiting, found = list(self._widest()), list[RowKey]()
        while waiting:
            batch, waiting = _batch(waiting)
            asked = [[*where, total(self._rows(where))] for where, _ in batch]
            answers = self._ask({"models": self.fields, "ranges": asked})["ranges"]
            for (where, rows), answer in zip(batch, answers, strict=True):
                if answer is not None:
                    waiting += self._parts(where, rows, answer, found)
        return found

    def _rows(self, where: Range) -> Iterator[Seen]:
        return rows_in(where, self.me, self.peer.party, self.fields)

    def _widest(self) -> Iterator[tuple[Range, int]]:
        start = ""
        for number, row in enumerate(self._rows(Range("", None))):
            if number and number % FIRST == 0:
                yield Range(start, row.key.stored), FIRST
                start = row.key.stored
        yield Range(start, None), FIRST

    def _parts(self, where: Range, rows: int, answer: dict[str, Any], found: list[RowKey]) -> list[tuple[Range, int]]:
        if "terms" in answer:
            theirs = {RowKey(model, token): term for model, token, term in answer["terms"]}
            mine = {row.key: f"{row.term():064x}" for row in self._rows(where)}
            found += sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
            return []
        inner = [cut for cut in answer["cuts"] if where.start < cut and (where.end is None or cut < where.end)]
        edges = [where.start, *inner, where.end]
        return [(Range(str(start), end), rows // len(inner) if inner else rows) for start, end in pairwise(edges)]

    # Row by row

    def _differences(self, keys: Sequence[RowKey]) -> Iterator[tuple[Difference, tuple[Row, Row]]]:
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), MAX_ROWS):
            part = unique[start : start + MAX_ROWS]
            answers = self._ask({"models": self.fields, "rows": [list(key) for key in part]})["rows"]
            here = rows_named(part, self.me, self.peer.party, self.fields)
            for key, answer in zip(part, answers, strict=True):
                mine, theirs = here.get(key), _seen(key, answer)
                states = (Row.decode(mine.state) if mine else Row(), Row.decode(theirs.state) if theirs else Row())
                yield from ((d, states) for d in _between(key, mine, theirs, states))


def _batch(waiting: list[tuple[Range, int]]) -> tuple[list[tuple[Range, int]], list[tuple[Range, int]]]:
    """Return the ranges for one request, of about as many rows as the widest range alone has, and those that are left."""
    sizes = accumulate(rows for _, rows in waiting[:MAX_RANGES])
    count = max(1, sum(size <= FIRST for size in sizes))
    return waiting[:count], waiting[count:]


def _seen(key: RowKey, answer: dict[str, Any] | None) -> Seen | None:
    if answer is None:
        return None
    return Seen(key, base64.b64decode(answer["state"]), bool(answer["projected"]), answer["row"])


def _between(key: RowKey, mine: Seen | None, theirs: Seen | None, states: tuple[Row, Row]) -> Iterator[Difference]:
    is_shown = all(side is None or side.projected for side in (mine, theirs))
    here, there = mine.row if mine else None, theirs.row if theirs else None
    named: set[str] = set()
    if is_shown and here != there:
        for d in _rows_between(key, here, there):
            named.add(d.field or "")
            yield d
    if (mine and mine.state) != (theirs and theirs.state) and "" not in named:
        yield from (d for d in _registers_between(key, *states) if (d.field or "").split("/", 1)[0] not in named)


def _rows_between(key: RowKey, here: Any, there: Any) -> Iterator[Difference]:
    if here is None or there is None:
        yield Difference("row", *key, None, here, there)
        return
    yield from (
        Difference("row", *key, name, here[name], there[name]) for name in sorted(here) if here[name] != there.get(name)
    )


def _registers_between(key: RowKey, mine: Row, theirs: Row) -> Iterator[Difference]:
    names = [name for name in sorted(mine.heads.keys() | theirs.heads.keys()) if mine.heads.get(name) != theirs.heads.get(name)]
    for name in names:
        yield Difference("registers", *key, name, _hex(mine.heads.get(name)), _hex(theirs.heads.get(name)))
    if not names:
        yield Difference("registers", *key, None, _hex(mine.deletes), _hex(theirs.deletes))


def _hex(dots: Iterable[bytes] | None) -> list[str] | None:
    return None if dots is None else sorted(dot.hex() for dot in dots)


def why(states: tuple[Row, Row], tips: Sequence[exchange.TipAt]) -> str:
    """Return why two states of one row, here and there, are not the same, as ``compare`` says."""
    mine, theirs = ({*row.dots(), *row.waiting(), *row.deletes} for row in states)
    is_behind = bool(theirs - log.known(theirs).keys())
    is_ahead = bool(_beyond(mine - theirs, tips))
    return ("apart" if is_ahead else "behind") if is_behind else ("ahead" if is_ahead else "differs")


def _beyond(dots: set[bytes], tips: Sequence[exchange.TipAt]) -> list[bytes]:
    """Those of ``dots`` that a replica with ``tips`` does not hold, as far as the numbers of their chains say."""
    places = log.known(dots)
    chains = log.chains(place.chain for place in places.values())
    most: dict[ChainKey, int] = {}
    for tip in tips:
        most[tip.chain] = max(most.get(tip.chain, 0), tip.seq)
    return [dot for dot, place in places.items() if place.seq > most.get(chains[place.chain][0], 0)]

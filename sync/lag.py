"""How far peers are behind or ahead, and what exists only here: by what each was last seen to hold.

Of each peer only that is kept and counted in which it differs from what is here, and peers that hold the same are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from sync import exchange, log
from sync.core.changeset import ChainKey
from sync.core.policy import Party
from sync.ends import Ends, TipAt, chains_here
from sync.models import Contact

AT_ONCE = 100  # peers whose tips are in memory at a time


class Seen(NamedTuple):
    """What is noted of a peer; ``held`` is one text for all that were seen to hold the same, empty for one never seen."""

    held: str = ""
    last_contact: datetime | None = None
    error: dict[str, str] | None = None
    lacking: frozenset[str] = frozenset()


class _Other(NamedTuple):
    """In what a peer differs: the tips that are not here, and those here that it was not seen to hold."""

    more: frozenset[TipAt]
    less: frozenset[TipAt]


class Lags:
    """All peers at one moment."""

    def __init__(self) -> None:
        self.ends: Ends = chains_here()
        self.tips = self.ends.by_chain
        self.seen = {
            name: Seen(held or name, last_contact, error, frozenset(lacking or ()))
            for name, held, last_contact, error, lacking in Contact.objects.values_list(
                "name", "summary", "last_contact", "error", "lacking"
            )
        }
        self._counts: dict[tuple[int, str], tuple[int, int]] = {}

    @cached_property
    def _others(self) -> dict[str, _Other]:
        """In what each differs, by ``Seen.held``; of those that hold the same one is read, of what a part of this is none."""
        all_here = frozenset(chain.from_iterable(self.tips.values()))
        found = {"": _Other(frozenset(), all_here)}
        found |= {part.summary: _Other(frozenset(), all_here.difference(part.tips)) for part in self.ends.parts.values()}
        names = [name for held, name in {seen.held: name for name, seen in self.seen.items()}.items() if held not in found]
        lines = {(*tip.chain, tip.seq, tip.dot.hex()): tip for tip in all_here}
        for some in _parts(names):
            # As text, which this reads in a third of the time that a field of Django's takes.
            texts = Contact.objects.filter(name__in=some).values_list("name", Cast("tips", TextField()))
            found |= {self.seen[name].held: _other(orjson.loads(text), lines) for name, text in texts}
        return found

    @cached_property
    def _places(self) -> dict[bytes, log.Known]:
        """Where all tips stand of chains in which anybody differs."""
        tips = {tip for other in self._others.values() for tip in other.more | other.less}
        chains = {tip.chain for tip in tips}
        return log.known(tip.dot for tip in tips.union(*(self.tips.get(name, ()) for name in chains)))

    def between(self, me: Party, peer: Party, seen: Seen) -> tuple[int, int]:
        """Return how many changesets this replica is behind ``peer``, as far as the numbers say, and how many it is ahead."""
        ours = self.ends.between(me, peer)
        if seen.held == ours.summary:
            return 0, 0
        key = (id(ours), seen.held)
        if key not in self._counts:
            other = self._others[seen.held]
            have, here = self._differing(other, ours.by_chain)
            places = self._places
            self._counts[key] = exchange.count_unknown(have, here, places), exchange.count_missing(have, here, places)
        return self._counts[key]

    def _differing(self, other: _Other, ours: Mapping[ChainKey, list[TipAt]]) -> tuple[list[TipAt], list[TipAt]]:
        """Return the tips there and those of ``ours``, of the chains that differ."""
        chains = {tip.chain for tip in (*other.more, *other.less)}
        return [tip for each in chains for tip in self._of(other, each)], [tip for each in chains for tip in ours.get(each, ())]

    def _of(self, other: _Other, name: ChainKey) -> Iterator[TipAt]:
        """Yield the tips of one chain there."""
        yield from (tip for tip in self.tips.get(name, ()) if tip not in other.less)
        yield from (tip for tip in other.more if tip.chain == name)

    def only_here(self) -> int:
        """Return how many changesets are here that no peer was seen to hold."""
        others = [self._others[held] for held in {"", *(seen.held for seen in self.seen.values())}]
        more, less = frozenset().union(*(o.more for o in others)), frozenset.intersection(*(o.less for o in others))
        return exchange.count_missing(*self._differing(_Other(more, less), self.tips), self._places) + self._without_values()

    def _without_values(self) -> int:
        """Return how many changesets each peer that holds them lacks a value of."""
        dots = {dot for seen in self.seen.values() for dot in seen.lacking}
        places = log.known(bytes.fromhex(dot) for dot in dots)
        chains = log.chains(place.chain for place in places.values())
        count = 0
        for dot, place in places.items():
            name, _ = chains[place.chain]
            held = {held for held, other in self._others.items() if any(t.seq >= place.seq for t in self._of(other, name))}
            holders = [seen.lacking for seen in self.seen.values() if seen.held in held]
            count += bool(holders) and all(dot.hex() in lacking for lacking in holders)
        return count


def _parts(names: list[str]) -> Iterator[list[str]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))


def _other(tips: list[list[Any]], lines: Mapping[tuple[Any, ...], TipAt]) -> _Other:
    """Return in what ``tips``, as they are kept of a peer, differ from those that are here, by their lines."""
    there = set(map(tuple, tips))
    less = set(lines).difference(there)
    return _Other(frozenset(exchange.tips_from_json(there.difference(lines))), frozenset(lines[line] for line in less))

"""The ends of the chains here, as peers are told of them: each process keeps them, and follows the log as that grows.

What has not changed costs one statement. What has costs the chains that grew, and a look over the lines of the others in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from django.db import connection
from django.dispatch import receiver

from sync import signals, trusting
from sync.core.changeset import ChainKey
from sync.core.policy import Party, is_entitled
from sync.core.trust import TrustEntry
from sync.models import Entry, Tip
from sync.standing import Standing, standing

FEW = 400  # chains that are read anew one by one; of more, all are
MANY = 10_000  # changesets, after which nobody looks which chains they are of


class TipAt(NamedTuple):
    """An end of a chain."""

    chain: ChainKey
    seq: int
    dot: bytes


@dataclass(frozen=True)
class Held:
    """What a replica holds: the ends of its chains, sorted, and their ``summary``."""

    tips: list[TipAt]
    summary: str

    @cached_property
    def by_chain(self) -> dict[ChainKey, list[TipAt]]:
        """The tips of each chain."""
        return by_chain(self.tips)


class _Chain(NamedTuple):
    """A chain here: its name, its key, its ends; their lines in a summary; whether the trusted list has its key."""

    name: ChainKey
    key: str
    tips: list[TipAt]
    lines: bytes
    has_key: bool


@dataclass(frozen=True)
class Ends:
    """All chains here, by their numbers, at one moment; nobody alters them."""

    at: Standing
    trusted: Mapping[str, TrustEntry]
    chains: dict[int, _Chain]
    parts: dict[frozenset[str], Held] = field(default_factory=dict)  # by scopes

    def between(self, me: Party, peer: Party) -> Held:
        """Return what of this both sides may hold, without the chains whose key is not on the list.

        These are of an incarnation that nobody had seen when its key was revoked. No other replica could check or would take
        them, and offering them would make every exchange look unfinished for ever.
        """
        found = frozenset(scope for scope in self.scopes if is_entitled(me, scope) and is_entitled(peer, scope))
        if found not in self.parts:
            self.parts[found] = self._part(found)
        return self.parts[found]

    @cached_property
    def by_chain(self) -> dict[ChainKey, list[TipAt]]:
        """The ends of each chain, whoever may hold it."""
        return {chain.name: chain.tips for chain in self.chains.values()}

    @cached_property
    def scopes(self) -> set[str]:
        """The scopes of all chains."""
        return {chain.name.scope for chain in self.chains.values()}

    def _part(self, scopes: Collection[str]) -> Held:
        chains = sorted(chain for chain in self.chains.values() if chain.has_key and chain.name.scope in scopes)
        digest = hashlib.sha256(b"".join(chain.lines for chain in chains)).hexdigest()
        return Held([tip for chain in chains for tip in chain.tips], digest)


_kept: dict[str, Ends] = {}  # by database


def chains_here() -> Ends:
    """Return the ends of the chains as they are now."""
    now, name = standing(), str(connection.settings_dict["NAME"])
    known = _kept.get(name)
    if known is not None and known.at == now:
        return known
    trusted = trusting.current().entries
    if known is not None and now.may_follow(known.at) and _is_below(known.at):
        chains = _followed(known, now, trusted)
    else:
        chains = _read(None, trusted)
    found = Ends(now, trusted, chains)
    if not connection.in_atomic_block:  # what it has written may be rolled back
        _kept[name] = found
    return found


@receiver(signals.replacing)
def _forget(**_: object) -> None:
    _kept.clear()


def _is_below(former: Standing) -> bool:
    """Say whether the log has grown out of what it was then, and has not been put back meanwhile."""
    return Entry.objects.filter(position=former.position, dot=former.dot).exists()


def _followed(known: Ends, now: Standing, trusted: Mapping[str, TrustEntry]) -> dict[int, _Chain]:
    """Return the chains, of which only those are read that grew."""
    # Sorted, or SQLite looks through a whole index to find them distinct.
    since = Entry.objects.filter(position__gt=known.at.position).order_by("position").values_list("chain", flat=True)
    grown = set(since) if known.at.position + MANY >= now.position else None
    if grown is None or len(grown) > FEW:
        return _read(None, trusted)
    same = known.chains if trusted == known.trusted else {pk: _judged(chain, trusted) for pk, chain in known.chains.items()}
    return {**same, **_read(grown, trusted)} if grown else same


def _read(numbers: Collection[int] | None, trusted: Mapping[str, TrustEntry]) -> dict[int, _Chain]:
    """Return the chains ``numbers``, or all of them."""
    query = Tip.objects.order_by("chain__name", "chain__incarnation", "chain__scope")
    rows = (query if numbers is None else query.filter(chain__in=numbers)).values_list(
        "chain", "chain__name", "chain__incarnation", "chain__scope", "chain__key", "seq", "dot"
    )
    found = {}
    for (number, *words, key), group in groupby(rows, key=lambda row: row[:5]):
        name = ChainKey(*words)
        tips = sorted(TipAt(name, seq, bytes(dot)) for *_, seq, dot in group)
        found[number] = _judged(_Chain(name, key, tips, b"".join(map(_line, tips)), False), trusted)
    return found


def _judged(chain: _Chain, trusted: Mapping[str, TrustEntry]) -> _Chain:
    entry = trusted.get(chain.name.name)
    return chain._replace(has_key=entry is not None and entry.key_for(chain.name.incarnation) == chain.key)


def by_chain(tips: Iterable[TipAt]) -> dict[ChainKey, list[TipAt]]:
    """Return ``tips`` by their chains."""
    found: dict[ChainKey, list[TipAt]] = {}
    for tip in tips:
        found.setdefault(tip.chain, []).append(tip)
    return found


def summary(tips: Iterable[TipAt]) -> str:
    """Return 64 hex digits, equal where two replicas hold the same changesets.

    SHA-256 over the sorted lines ``name incarnation scope seq dot``, each ended by a newline.
    """
    return hashlib.sha256(b"".join(map(_line, sorted(tips)))).hexdigest()


def _line(tip: TipAt) -> bytes:
    return f"{' '.join(tip.chain)} {tip.seq} {tip.dot.hex()}\n".encode()

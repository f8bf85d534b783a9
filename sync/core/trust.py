"""The trusted list as a pure function of the writes to it.

The site has one root, its first master. Names are taken in order of rank: the root, then the masters whom seniors entered, then
all others. A write counts only if its writer stands before its subject and was a master at that changeset; so a junior master
cannot revoke a senior one, every master can revoke an edge, and a back-dated write of a rogue changes nothing above it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from sync.core.address import MAX_URL, farm
from sync.core.changeset import INCARNATION, is_dot
from sync.core.clock import Timestamp
from sync.core.policy import Party, Role
from sync.core.signing import parse_key


class Open(msgspec.Struct, frozen=True):
    """Under what a name writes now."""

    role: Role
    farm: str
    url: str
    key: str


class Closed(msgspec.Struct, frozen=True):
    """A former incarnation: what it wrote up to ``tips`` (dots in hex; None: all of it) counts under its old role."""

    role: Role
    farm: str
    key: str
    tips: list[str] | None


class TrustEntry(msgspec.Struct, frozen=True):
    """What the list says of one name. ``closed`` is by incarnation; without ``open`` the name is revoked."""

    closed: dict[str, Closed]
    open: Open | None

    @property
    def was_master(self) -> bool:
        """Whether it calls its subject a master, now or in a former incarnation."""
        return any(said is not None and said.role is Role.MASTER for said in (self.open, *self.closed.values()))

    def key_for(self, incarnation: str) -> str | None:
        """The key of an incarnation; None where the list knows none."""
        if incarnation in self.closed:
            return self.closed[incarnation].key
        return self.open.key if self.open else None


class Position(NamedTuple):
    """Where a changeset stands: its incarnation with the key that this is bound to, its dot in hex."""

    incarnation: str
    key: str
    dot: str


@dataclass(frozen=True, slots=True)
class TrustWrite:
    """One write to the list: who wrote it where, about whom, what, over which writes (dots in hex)."""

    writer: str
    at: Position
    stamp: Timestamp
    subject: str
    entry: TrustEntry
    over: frozenset[str]

    @property
    def order(self) -> tuple[Timestamp, str, str]:
        """What decides between siblings."""
        return (self.stamp, self.writer, self.at.dot)


# Says whether a dot (hex) lies on the path to one of the closing tips (hex).
IsBelow = Callable[[str, list[str]], bool]


@dataclass(slots=True)
class TrustList:
    """Names in order of rank with what the list says of them."""

    entries: dict[str, TrustEntry] = field(default_factory=dict)

    def party_at(self, name: str, at: Position, is_below: IsBelow) -> Party | None:
        """Return as what ``name`` wrote the changeset ``at``; None where it does not count."""
        entry = self.entries.get(name)
        if entry is None:
            return None
        closed = entry.closed.get(at.incarnation)
        if closed is None:
            # An incarnation of another key, that nobody closed because nobody had seen it, does not count.
            is_open = entry.open is not None and entry.open.key == at.key
            return Party.named(name, entry.open.role, entry.open.farm) if is_open and entry.open else None
        if closed.tips is None or is_below(at.dot, closed.tips):
            return Party.named(name, closed.role, closed.farm)
        return None


def evaluate(root: str, pinned: TrustEntry, writes: Iterable[TrustWrite], is_below: IsBelow) -> TrustList:
    """Return the list that follows from ``writes`` under ``root``, of whom ``pinned`` is known. O(writes x masters).

    Whoever was ever entered as a master stands before all who were not; among masters a senior's word comes first.
    """
    by_subject: dict[str, list[TrustWrite]] = {}
    by_writer: dict[str, list[TrustWrite]] = {}
    for write in sorted(writes, key=lambda write: write.order):
        by_subject.setdefault(write.subject, []).append(write)
        by_writer.setdefault(write.writer, []).append(write)
    trusted, masters, others = TrustList({root: pinned}), [root], dict[str, None]()

    def settle(name: str) -> None:
        # Only those who stand before it have an entry by now, and the root itself.
        counting = [write for write in by_subject.get(name, ()) if _counts(trusted, write, is_below)]
        if counting:
            trusted.entries[name] = _shown(counting)

    for name in masters:
        settle(name)
        for write in by_writer.get(name, ()):
            if write.subject not in masters and _counts(trusted, write, is_below):
                if write.entry.was_master:
                    masters.append(write.subject)
                else:
                    others[write.subject] = None
    for name in others:
        if name not in masters:
            settle(name)
    return trusted


def cut_by_revoking(trusted: TrustList, writes: Iterable[TrustWrite], is_below: IsBelow) -> set[str]:
    """Return the incarnations whose closing tips were set by a revocation since the name was trusted last.

    ``writes``: those about one name. What junior masters wrote about a senior one counts as nothing.
    """
    ranks = {name: rank for rank, name in enumerate(trusted.entries)}
    by_revoking: dict[str, bool] = {}
    for write in sorted(writes, key=lambda write: write.order):
        if not _counts(trusted, write, is_below) or ranks[write.writer] > ranks.get(write.subject, len(ranks)):
            continue
        closed = [incarnation for incarnation, closed in write.entry.closed.items() if closed.tips is not None]
        if write.entry.open is not None:
            by_revoking.update(dict.fromkeys(closed, False))
        for incarnation in closed:
            by_revoking.setdefault(incarnation, True)
    return {incarnation for incarnation, is_so in by_revoking.items() if is_so}


def _counts(trusted: TrustList, write: TrustWrite, is_below: IsBelow) -> bool:
    party = trusted.party_at(write.writer, write.at, is_below)
    return party is not None and party.role is Role.MASTER


def _shown(writes: list[TrustWrite]) -> TrustEntry:
    """The greatest head; a revocation among siblings wins, for it may be the last that somebody could do."""
    overwritten = frozenset().union(*(write.over for write in writes))
    heads = [write for write in writes if write.at.dot not in overwritten]
    revoked = [write for write in heads if write.entry.open is None]
    return max(revoked or heads, key=lambda write: write.order).entry


def parse_entry(value: Any) -> TrustEntry:
    """Return the entry of a JSON value. Raises ValueError (of which msgspec.ValidationError is one) for what is no entry."""
    entry = msgspec.convert(value, TrustEntry)
    said_of: list[Open | Closed] = [*([entry.open] if entry.open else []), *entry.closed.values()]
    for said in said_of:
        parse_key(said.key)
        farm(said.farm)
    if entry.open is not None and (len(entry.open.url) > MAX_URL or not entry.open.url.isprintable()):
        raise ValueError("a url is no address")
    for incarnation, closed in entry.closed.items():
        if not INCARNATION.fullmatch(incarnation) or not all(is_dot(tip) for tip in closed.tips or ()):
            raise ValueError("a closed incarnation, or a closing tip, is not in hex digits")
    return entry


def entry_value(entry: TrustEntry) -> Mapping[str, Any]:
    """Return ``entry`` as JSON."""
    value: Mapping[str, Any] = msgspec.to_builtins(entry)
    return value

"""What a replica holds and what of it counts: chains, the trusted list, admission, as docs/sync-protocol.md describes them."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tests.protocol.changesets import Chain, Changeset, sha256

DRIFT = 300_000  # milliseconds
Party = tuple[str, str]


def may_hold(party: Party, scope: str) -> bool:
    """Say whether ``party`` (role, farm) may hold chains of ``scope``."""
    if scope in ("all", "trust"):
        return True
    return scope.startswith("farm:") and (party[0] != "edge" or (bool(party[1]) and scope == f"farm:{party[1]}"))


class Store:
    """Changesets in order of arrival, the list that follows from them, and who this is: ``party`` as (role, farm)."""

    def __init__(self, party: Party, root: str, root_key: str) -> None:
        self.party, self.root = party, root
        self.pinned = {"closed": {}, "open": {"role": "master", "farm": "", "url": "", "key": root_key}}
        self.held: dict[str, Changeset] = {}
        self.ahead: set[str] = set()
        self.keys: dict[tuple[str, str], str] = {}
        self.trusted: dict[str, dict[str, Any]] = {root: self.pinned}
        self.refused: Counter[str] = Counter()

    # Taking in

    def take(self, changesets: Iterable[Changeset]) -> int:
        """Keep what is new and right; return how many that were. What is refused is counted by its code."""
        new = [c for c in changesets if c.dot not in self.held]
        trust = [c for c in new if c.chain[2] == "trust"]
        count = 0
        while known := [c for c in trust if self.key_of(c)]:
            count += self._take_part(known)
            self.trusted = self.evaluate()
            trust = [c for c in trust if c not in known]
        return count + self._take_part([*trust, *(c for c in new if c.chain[2] != "trust")])

    def _take_part(self, part: list[Changeset]) -> int:
        linked: dict[str, Changeset] = {}
        for changeset in part:
            code = self._objection(changeset, linked)
            if code:
                self.refused[code] += 1
            else:
                linked[changeset.dot] = changeset
        vouched = self._vouched(linked)
        for dot, changeset in linked.items():
            if dot in vouched:
                self._keep(changeset)
            else:
                self.refused["bad_signature"] += 1
        return len(vouched)

    def _objection(self, changeset: Changeset, linked: dict[str, Changeset]) -> str:
        head = changeset.head
        if not may_hold(self.party, head["scope"]):
            return "scope_not_entitled"
        if not self.key_of(changeset):
            return "origin_unknown"
        if head["scope"] == "trust" and changeset.lacking():
            return "value_missing"
        if head["prev"] is None:
            return "" if head["seq"] == 1 else "malformed"
        before = self.held.get(head["prev"]) or linked.get(head["prev"])
        if before is None or before.chain != changeset.chain or before.head["seq"] != head["seq"] - 1:
            return "previous_missing"
        return "" if head["clock"] > before.head["clock"] else "clock_not_growing"

    def _vouched(self, linked: dict[str, Changeset]) -> set[str]:
        parents = {c.head["prev"] for c in linked.values()}
        vouched: set[str] = set()
        for end in [dot for dot in linked if dot not in parents]:
            dot, is_good = end, False
            while dot in linked and dot not in vouched:
                changeset = linked[dot]
                is_good = is_good or changeset.is_signed_by(self.key_of(changeset) or "")
                if is_good:
                    vouched.add(dot)
                dot = changeset.head["prev"]
        return vouched

    def _keep(self, changeset: Changeset) -> None:
        head = changeset.head
        self.keys.setdefault(changeset.chain[:2], self.key_of(changeset) or "")
        if head["clock"][0] > time.time() * 1000 + DRIFT or head["prev"] in self.ahead:
            self.ahead.add(changeset.dot)
        self.held[changeset.dot] = changeset

    def key_of(self, changeset: Changeset) -> str | None:
        """Return the key of the chain of ``changeset``; None for an unknown origin."""
        name, incarnation, _ = changeset.chain
        if (name, incarnation) in self.keys:
            return self.keys[name, incarnation]
        entry = self.trusted.get(name)
        place = entry and (entry["closed"].get(incarnation) or entry["open"])
        return place["key"] if place else None

    # What is held

    def tips(self) -> list[list[Any]]:
        """Return [name, incarnation, scope, seq, dot] of every changeset without a child, sorted."""
        parents = {c.head["prev"] for c in self.held.values()}
        return sorted([*c.chain, c.head["seq"], dot] for dot, c in self.held.items() if dot not in parents)

    def summary(self) -> str:
        """Return the summary of all tips."""
        return summary(self.tips())

    def missing(self, tips: list[list[Any]]) -> list[Changeset]:
        """Return what a peer with ``tips`` lacks: the trusted list first, then by order of arrival."""
        theirs = {dot for *_, dot in tips}
        below = {c.dot for dot in theirs & self.held.keys() for c in self.path(dot)}
        lacking = [c for dot, c in self.held.items() if dot not in below]
        return sorted(lacking, key=lambda c: c.chain[2] != "trust")

    def path(self, dot: str | None) -> Iterator[Changeset]:
        """Yield the changeset ``dot`` and its ancestors."""
        while dot in self.held:
            yield self.held[dot]
            dot = self.held[dot].head["prev"]

    # The trusted list

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Return the list that follows from what is held."""
        writes = sorted(self._trust_writes(), key=lambda w: (w["at"].head["clock"], w["writer"], w["at"].dot))
        found, masters, others = {self.root: self.pinned}, [self.root], []

        def settle(name: str, seniors: list[str]) -> None:
            about = [w for w in writes if w["subject"] == name and w["writer"] in seniors and self._is_master(found, w)]
            if about:
                found[name] = _shown(about)

        for place, name in enumerate(masters):
            settle(name, masters[:place] or [self.root])
            for write in writes:
                if write["writer"] == name and write["subject"] not in masters and self._is_master(found, write):
                    said = [write["entry"]["open"] or {}, *write["entry"]["closed"].values()]
                    is_master = any(part.get("role") == "master" for part in said)
                    (masters if is_master else others).append(write["subject"])
        for name in others:
            if name not in masters:
                settle(name, masters)
        return found

    def _trust_writes(self) -> Iterator[dict[str, Any]]:
        for c in self.held.values():
            for model, subject, writes, *_ in c.head["ops"] if c.chain[2] == "trust" else ():
                for field, _, value, over, *_ in writes:
                    entry = c.said(value) if model == "sync.trust" and field == "entry" else None
                    if _is_entry(entry):
                        yield {"writer": c.chain[0], "at": c, "subject": subject, "entry": entry, "over": c.refs(over)}

    def _is_master(self, found: dict[str, dict[str, Any]], write: dict[str, Any]) -> bool:
        party = self.party_at(found, write["at"])
        return party is not None and party[0] == "master"

    def party_at(self, trusted: dict[str, dict[str, Any]], changeset: Changeset) -> Party | None:
        """Return role and farm under which ``changeset`` was made; None where it does not count."""
        name, incarnation, _ = changeset.chain
        entry = trusted.get(name)
        if entry is None:
            return None
        closed = entry["closed"].get(incarnation)
        if closed is None:
            return (entry["open"]["role"], entry["open"]["farm"]) if entry["open"] else None
        ends = closed["tips"]
        is_in = ends is None or any(changeset in self.path(tip) for tip in ends)
        return (closed["role"], closed["farm"]) if is_in else None

    def counting(self) -> list[Changeset]:
        """Return the changesets that count, outside the trusted list."""
        return [c for c in self.held.values() if c.chain[2] != "trust" and self._counts(c)]

    def _counts(self, changeset: Changeset) -> bool:
        party = self.party_at(self.trusted, changeset)
        return changeset.dot not in self.ahead and party is not None and may_hold(party, changeset.chain[2])

    def chain_end(self, chain: Chain) -> Changeset | None:
        """Return the last changeset of a chain that is not forked."""
        ends = [self.held[dot] for *key, _, dot in self.tips() if tuple(key) == chain]
        return ends[0] if ends else None


def _is_entry(entry: Any) -> bool:
    try:
        places = [*entry["closed"].values(), *([entry["open"]] if entry["open"] else [])]
        tips = [tip for closed in entry["closed"].values() for tip in closed["tips"] or ()]
        keys = [base64.b64decode(place["key"].removeprefix("ed25519:"), validate=True) for place in places]
        roles = {place["role"] for place in places} <= {"master", "node", "edge"}
        return roles and all(len(key) == 32 for key in keys) and all(len(bytes.fromhex(tip)) == 16 for tip in tips)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _shown(writes: list[dict[str, Any]]) -> dict[str, Any]:
    named = set().union(*(write["over"] for write in writes))
    heads = [write for write in writes if write["at"].dot not in named]
    revoking = [write for write in heads if write["entry"]["open"] is None]
    entry: dict[str, Any] = (revoking or heads)[-1]["entry"]
    return entry


def summary(tips: Iterable[list[Any]]) -> str:
    """Return the summary of ``tips``."""
    return sha256("".join(" ".join(map(str, tip)) + "\n" for tip in sorted(tips)).encode())

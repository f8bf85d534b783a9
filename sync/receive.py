"""Receiving changesets: the one door between what came over the wire and what counts here.

A batch is in one transaction: log, tips, registers, rows, digest and clock together. Receiving a changeset twice changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import transaction

from sync import conf, incarnation, local, log, missing, refill, signals, trusting
from sync.admission import Verdict, is_anything_held, judge, judge_chain, readmit, release, release_overwritten
from sync.batches import Stride, loads
from sync.core import signing
from sync.core.changeset import ChainKey, Changeset
from sync.core.clock import Timestamp
from sync.core.policy import TRUST, is_entitled
from sync.core.trust import TrustList
from sync.core.wire import Frame
from sync.db.checkpoints import Checkpoints, many_rows
from sync.isolation import apply_each
from sync.models import Chain, Entry

Place = tuple[ChainKey, int, tuple[int, int]]  # a chain, a number in it, the clock there


@dataclass(slots=True)
class Receipt:
    """What became of a stream: counts of changesets. ``refused``: code -> count; nothing of those was stored."""

    received: int = 0
    applied: int = 0
    quarantined: int = 0
    held: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    incomplete: int = 0  # of those stored: came without some of their values

    def refuse(self, code: str, count: int = 1) -> None:
        """Count what was not stored."""
        self.refused[code] = self.refused.get(code, 0) + count

    def add(self, other: Receipt) -> None:
        """Count what ``other`` counts."""
        for name in ("received", "applied", "quarantined", "held", "incomplete"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for code, count in other.refused.items():
            self.refuse(code, count)


def receive(frames: Iterable[Frame], receipt: Receipt | None = None) -> Receipt:
    """Apply ``frames``, a load of them in a transaction, or less where others wait. What came stays, also where a later frame fails.

    A caller who wants to know what came before a failure hands in the ``receipt`` that is filled.
    """
    receipt, stride = receipt or Receipt(), Stride()
    trusting.current()  # read here it is remembered; within a transaction it would be read for each batch
    with ExitStack() as stack:
        copying = stack.enter_context(Checkpoints())
        for number, load in enumerate(loads(frames)):
            if number == 1:  # it is a long one
                stack.enter_context(many_rows())
            copying.wait()
            while load:
                receipt.add(_transact(load, stride))
            if number % 2:
                copying.begin()
    if receipt.incomplete:
        with transaction.atomic():
            local.take_turn()
            missing.prune()  # what was a head at the end of a batch, and is none at the end of the stream
    return receipt


def _transact(load: deque[Frame], stride: Stride) -> Receipt:
    """Take batches off ``load`` and apply them, in one transaction, until somebody else waits for the turn to write."""
    receipt, count = Receipt(), 0
    with transaction.atomic():
        local.take_turn()
        while load:
            with stride.batch(load) as batch:
                count += _Inbox(receipt).take(batch)
            if load and local.is_turn_awaited():
                break
        released = release()
        receipt.applied += released
        if count or released:
            transaction.on_commit(signals.announce)
    return receipt


class _Inbox:
    """One batch of frames, on its way from bytes to rows."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.trust: TrustList = trusting.current()
        self.me = trusting.me()
        self.bound = local.now_ms(local.state()) + conf.max_clock_drift_ms()  # beyond it a clock runs ahead
        self.keys: dict[ChainKey, str] = {}  # of chains that may be held here
        self.chains: dict[ChainKey, int] = {}  # rows, made only for what is accepted
        self.verdicts: dict[ChainKey, Verdict | None] = {}  # on all of a chain; None where it hangs on the changeset
        self.places: dict[bytes, Place] = {}  # of what may be a parent
        self.held: set[bytes] = set()  # of these

    def take(self, frames: Sequence[Frame]) -> int:
        """Accept what is new and right; return how many changesets that were."""
        everything = [changeset for frame in frames for changeset in frame.changesets]
        self.receipt.received += len(everything)
        held = log.known(changeset.dot for changeset in everything)
        new = {changeset.dot: changeset for changeset in everything if changeset.dot not in held}
        self._load_parents(new)
        if held:
            refill.take(text for c in everything if c.dot in held for text in c.values.values())
        count = 0
        for part, is_trust in self._parts(list(new.values())):
            accepted = self._accept(part)
            if accepted:
                self._append(frames, accepted)
                self._apply(accepted, is_trust)
                self._leave_forked_incarnation(record.changeset for record in accepted.values())
            count += len(accepted)
        return count

    @staticmethod
    def _leave_forked_incarnation(accepted: Iterable[Changeset]) -> None:
        """Go on under a new incarnation where a changeset of the present one came from elsewhere: its signature is the proof."""
        name = conf.name()
        ours = {changeset.head.incarnation for changeset in accepted if changeset.head.name == name}
        if ours and local.state().incarnation in ours:
            incarnation.renew("a peer holds a changeset of it that is not here")

    def _parts(self, new: Sequence[Changeset]) -> Iterator[tuple[list[Changeset], bool]]:
        """Yield the trusted list first, which decides what the rest may do; a master that it enters writes on from there."""
        waiting = [changeset for changeset in new if changeset.head.scope == TRUST]
        while known := [changeset for changeset in waiting if self._key(changeset.head.chain) is not None]:
            yield known, True
            done = {changeset.dot for changeset in known}
            waiting = [changeset for changeset in waiting if changeset.dot not in done]
        yield [*waiting, *(changeset for changeset in new if changeset.head.scope != TRUST)], False

    def _load_parents(self, new: Mapping[bytes, Changeset]) -> None:
        """Read where those stand that ``new`` follow, but for what is itself among ``new``."""
        parents = log.known({c.prev for c in new.values() if c.prev is not None and c.prev not in new})
        chains = log.chains(entry.chain for entry in parents.values())
        for dot, entry in parents.items():
            key, public_key = chains[entry.chain]
            self.places[dot] = (key, entry.seq, (entry.ms, entry.counter))
            if is_entitled(self.me, key.scope):
                self.keys[key], self.chains[key] = public_key, entry.chain
            if entry.state == Entry.State.HELD:
                self.held.add(dot)

    def _accept(self, changesets: Sequence[Changeset]) -> dict[bytes, log.Record]:
        """Return records of those that follow in their chains and are signed; others are refused and counted."""
        linked = [changeset for changeset in changesets if self._follows(changeset)]
        vouched = self._vouched(linked)
        records: dict[bytes, log.Record] = {}
        for changeset in linked:
            if changeset.dot in vouched:
                records[changeset.dot] = self._judge(changeset)
            else:
                self.receipt.refuse("bad_signature")
                self.places.pop(changeset.dot, None)
        return records

    def _follows(self, changeset: Changeset) -> bool:
        head = changeset.head
        code = self._objection(changeset)
        if code:
            self.receipt.refuse(code)
            return False
        self.places[changeset.dot] = (head.chain, head.seq, head.clock)
        return True

    def _objection(self, changeset: Changeset) -> str | None:
        head = changeset.head
        chain = head.chain
        if chain not in self.keys:
            if not is_entitled(self.me, head.scope):
                return "scope_not_entitled"
            if self._key(chain) is None:
                return "origin_unknown"
        if head.scope == TRUST and not changeset.is_complete:
            return "value_missing"
        if changeset.prev is None:
            return None
        parent = self.places.get(changeset.prev)
        if parent is None or parent[0] != chain or parent[1] != head.seq - 1:
            return "previous_missing"
        return None if head.clock > parent[2] else "clock_not_growing"

    def _key(self, chain: ChainKey) -> str | None:
        """The key of a chain: bound to its incarnation for life once it is known, else as the trusted list says."""
        if chain not in self.keys:
            known = Chain.objects.filter(name=chain.name, incarnation=chain.incarnation).first()
            entry = self.trust.entries.get(chain.name)
            key = known.key if known else entry.key_for(chain.incarnation) if entry else None
            if key is None:
                return None
            self.keys[chain] = key
        return self.keys[chain]

    def _row(self, chain: ChainKey) -> int:
        if chain not in self.chains:
            self.chains[chain] = log.chain(chain, self.keys[chain]).pk
        return self.chains[chain]

    def _vouched(self, changesets: Sequence[Changeset]) -> set[bytes]:
        """Those under a good signature. One at the end of a run vouches for all before it; where it is bad, the next before it."""
        by_dot = {changeset.dot: changeset for changeset in changesets}
        passed = {changeset.prev for changeset in changesets}
        vouched: set[bytes] = set()
        for end in (dot for dot in by_dot if dot not in passed):
            walk: bytes | None = end
            while walk in by_dot and walk not in vouched:
                changeset = by_dot[walk]
                key = signing.parse_key(self.keys[changeset.head.chain])
                if signing.is_signed_by(key, changeset.id, changeset.signature):
                    while walk in by_dot and walk not in vouched:
                        vouched.add(walk)
                        walk = by_dot[walk].prev
                    break
                walk = changeset.prev
        return vouched

    def _judge(self, changeset: Changeset) -> log.Record:
        head = changeset.head
        chain = head.chain
        if head.clock[0] > self.bound or changeset.prev in self.held:
            self.held.add(changeset.dot)
            return log.Record(changeset, self._row(chain), int(Entry.State.HELD), "clock_ahead")
        if chain not in self.verdicts:
            self.verdicts[chain] = judge_chain(self.trust, chain, self.keys[chain])
        state, reason = judge(self.trust, changeset, self.keys[chain], verdict=self.verdicts[chain])
        return log.Record(changeset, self._row(chain), state, reason)

    def _append(self, frames: Sequence[Frame], accepted: Mapping[bytes, log.Record]) -> None:
        """Append to the log, frame by frame; a frame of which everything is new is kept as it came."""
        left, parts = dict(accepted), []
        for frame in frames:
            part = [left.pop(dot) for dot in dict.fromkeys(c.dot for c in frame.changesets) if dot in left]
            if part:
                is_whole = frame.is_pure and len(part) == len(frame.changesets)
                parts.append((frame.raw if is_whole else log.pack(record.changeset for record in part), part))
        log.append_all(parts)

    def _apply(self, accepted: Mapping[bytes, log.Record], is_trust: bool) -> None:
        failed: dict[bytes, str] = {}
        incomplete = [record.changeset for record in accepted.values() if not record.changeset.is_complete]
        self.receipt.incomplete += len(incomplete)
        missing.note_incomplete(incomplete)
        if is_trust:
            names = trusting.refresh()
            self.trust = trusting.current()
            self.verdicts.clear()
        else:
            failed = apply_each(r.changeset for r in accepted.values() if r.state == Entry.State.APPLIED)
            names = set()
        names |= {r.changeset.head.name for r in accepted.values() if self._is_closing(r.changeset)}
        gained = readmit(names) if names else 0
        if not is_trust and is_anything_held():
            gained += release_overwritten(self._concerned(accepted))
        self._count(accepted, failed, gained, is_turned=bool(names or gained))
        clocks = [r.changeset.head.clock for r in accepted.values() if r.state != Entry.State.HELD]
        local.set_clock(Timestamp(*max([local.clock_of(local.state()), *clocks])))

    @staticmethod
    def _concerned(accepted: Mapping[bytes, log.Record]) -> set[bytes]:
        """What may be held no longer: what was held just now, and what those that count refer to."""
        held = {dot for dot, record in accepted.items() if record.state == Entry.State.HELD}
        return held.union(*(r.changeset.refs() for r in accepted.values() if r.state == Entry.State.APPLIED))

    def _is_closing(self, changeset: Changeset) -> bool:
        """Whether it is a closing tip of its incarnation: what lies below it, and came before, counts from now on."""
        entry = self.trust.entries.get(changeset.head.name)
        closed = entry.closed.get(changeset.head.incarnation) if entry else None
        return closed is not None and changeset.dot.hex() in (closed.tips or ())

    def _count(self, accepted: Mapping[bytes, log.Record], failed: Mapping[bytes, str], gained: int, is_turned: bool) -> None:
        """Count what became of ``accepted``, and what had come before and counts since: the rest of ``gained``."""
        judged = {dot: Entry.State.QUARANTINED if dot in failed else record.state for dot, record in accepted.items()}
        found = {dot: entry.state for dot, entry in log.known(accepted).items()} if is_turned else judged
        states = list(found.values())
        before = sum(judged[dot] != Entry.State.APPLIED == state for dot, state in found.items())
        self.receipt.applied += states.count(Entry.State.APPLIED) + max(0, gained - before)
        self.receipt.quarantined += states.count(Entry.State.QUARANTINED)
        self.receipt.held += states.count(Entry.State.HELD)

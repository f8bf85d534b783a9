"""Changesets of somebody who has a replica's key and no manners: signed, well formed, and not what the program would write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sync import log
from sync.core import signing, wire
from sync.core.changeset import Changeset, Head, Op, Write, decode, detach, encode
from sync.core.clock import Timestamp
from sync.core.policy import ALL
from sync.core.trust import Open, TrustEntry, entry_value
from sync.models import Register
from sync.receive import receive
from sync.registers import RowKey
from sync.registry import spec_of
from sync.simulator.deeds import heads_of
from sync.simulator.replica import Replica, private_key
from sync.simulator.script import Step
from sync.simulator.world import World, everything
from sync.trusting import FIELD, MODEL


@dataclass
class Forgery:
    """A changeset in the making: as whom, after which of his changesets (None: a chain of its own)."""

    victim: Replica
    after: Changeset | None
    incarnation: str
    scope: str = "all"
    ms: int = 0
    ops: list[Op] = field(default_factory=list)
    refs: list[bytes] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)

    def write(self, row: RowKey, key: str, value: Any, over: list[bytes]) -> None:
        """Add an op with one write."""
        inline, text = detach(value)
        self.texts += [text] if text is not None else []
        name, _, element = key.partition("/")
        first = len(self.refs)
        self.refs += over
        self.ops.append(Op(row.model, row.token, [Write(name, element or None, inline, list(range(first, len(self.refs))))]))

    def seal(self) -> Changeset:
        """Return it signed."""
        before = self.after.head if self.after else None
        clock = max(Timestamp(self.ms, 0), before.stamp.next(0)) if before else Timestamp(self.ms, 0)
        head = Head(
            name=self.victim.name,
            incarnation=before.incarnation if before else self.incarnation,
            scope=self.scope,
            seq=before.seq + 1 if before else 1,
            clock=(clock.ms, clock.counter),
            author="nobody",
            schema="1",
            prev=self.after.dot.hex() if self.after else None,
            refs=[dot.hex() for dot in self.refs],
            ops=self.ops,
        )
        raw = encode(head)
        plain = decode(raw, b"", self.texts)
        key = private_key(self.victim.name, self.victim.key_number)
        return Changeset(raw, signing.sign_changeset(key, plain.id), plain.head, plain.id, plain.values)


def forge(world: World, victim: Replica, replica: Replica, step: Step) -> None:
    """Write in the name of ``victim``, and hand it to ``replica``, which runs now."""
    random = world.chance.random
    known = [c for _, c in everything().values() if c.head.name == victim.name and c.head.scope == "all"]
    after = random.choice(known) if known and random.random() < 0.6 else None
    made = Forgery(victim, after, random.randbytes(8).hex(), ms=world.chance.ms)
    name = random.choice(list(KINDS))
    KINDS[name](world, made)
    if not made.ops:
        return
    forged = made.seal()
    world.ledger.forged.add(forged.dot)
    world.ledger.learn([forged])
    world.tally["forgeries"] += 1
    frame = log.pack([forged])
    world.network.remember(frame)
    receipt = receive(wire.frames([frame]))
    taken = f"{receipt.applied} applied, {receipt.quarantined} quarantined, {receipt.held} held, refused {receipt.refused}"
    world.say(f"{step.n} somebody writes ({name}) as {victim.name} to {replica.label}: {forged.dot.hex()[:8]} {taken}")


def _row(world: World) -> RowKey | None:
    found = Register.objects.filter(scope=ALL).order_by("key")
    rows = [RowKey(*row) for row in found.values_list("model", "token")[:12]]
    return world.chance.random.choice(rows) if rows else None


def _field(world: World, row: RowKey) -> str | None:
    spec = spec_of(row.model)
    names = [n for n, f in spec.fields.items() if f.policy not in ("set", "map")] if spec else []
    return world.chance.random.choice(names) if names else None


def _overwrite(world: World, made: Forgery) -> None:
    """Over everything that is there."""
    row = _row(world)
    key = _field(world, row) if row else None
    if row and key:
        made.write(row, key, "forged", sorted(heads_of(row).get(key, ())))


def _nonsense(world: World, made: Forgery) -> None:
    """A value that no column takes."""
    row = _row(world)
    key = _field(world, row) if row else None
    if row and key:
        value: Any = world.chance.random.choice((None, "\x00", "x" * 3000, {"a": [1]}, -1, 1e300, [[]], "2026-13-45"))
        made.write(row, key, value, [])


def _erase(world: World, made: Forgery) -> None:
    row = _row(world)
    if row:
        made.refs = sorted({dot for dots in heads_of(row).values() for dot in dots})
        made.ops.append(Op(row.model, row.token, [], list(range(len(made.refs)))))


def _far(world: World, made: Forgery) -> None:
    """From the year 2099."""
    _overwrite(world, made)
    made.ms = 4_070_908_800_000


def _crown(world: World, made: Forgery) -> None:
    """Makes himself a master."""
    made.after, made.scope = None, "trust"
    open_ = Open(world.root.place.role, "", made.victim.url, made.victim.public_text)
    made.write(RowKey(MODEL, made.victim.name), FIELD, entry_value(TrustEntry({}, open_)), [])


def _trespass(world: World, made: Forgery) -> None:
    """Into the scope of another farm."""
    made.after, made.scope = None, "farm:elsewhere"
    row = _row(world)
    if row:
        made.write(row, "title", "forged", [])


def _unknown(world: World, made: Forgery) -> None:
    """A model and fields that nobody knows."""
    made.write(RowKey("nowhere.thing", "THING-01"), "name", {"deep": [[[]]]}, [])


KINDS: dict[str, Callable[[World, Forgery], None]] = {
    "overwrite": _overwrite,
    "nonsense": _nonsense,
    "erase": _erase,
    "far": _far,
    "crown": _crown,
    "trespass": _trespass,
    "unknown": _unknown,
}

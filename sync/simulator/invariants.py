"""What must be true when all is healed: the list of promises, each a function that yields what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from sync import exchange, registers
from sync.core.changeset import Changeset
from sync.core.policy import ALL, TRUST, is_entitled
from sync.core.register import Row
from sync.models import Digest, Entry, Register, Segment
from sync.rebuild import rebuild
from sync.registers import RowKey
from sync.registry import all_specs, spec_of
from sync.simulator.ledger import Place, Said, WrongError
from sync.simulator.replica import Replica
from sync.simulator.world import World, everything

Dots = frozenset[bytes]


@dataclass
class Look:
    """All that one replica holds, read once. ``rows``: table -> token -> values as text."""

    replica: Replica
    log: dict[bytes, tuple[int, Changeset]]
    registers: dict[RowKey, tuple[str, Row, bool, bool]]  # scope, registers, alive, projected
    digests: dict[str, bytes]
    rows: dict[str, dict[str, tuple[Any, ...]]]
    heads: dict[Place, Dots] = field(default_factory=dict)

    def state(self) -> tuple[Any, ...]:
        """What a rebuild from the log must give again."""
        states = {key: (scope, row.encode(), alive, shown) for key, (scope, row, alive, shown) in self.registers.items()}
        return states, self.digests, self.rows

    def applied(self) -> Iterator[tuple[bytes, Changeset]]:
        """The changesets that count."""
        return ((dot, changeset) for dot, (state, changeset) in self.log.items() if state == Entry.State.APPLIED)


def look(replica: Replica, log: dict[bytes, tuple[int, Changeset]] | None = None) -> Look:
    """Read all that the replica holds. Call it where that replica runs."""
    columns = ("model", "token", "scope", "state", "alive", "projected")
    return Look(
        replica,
        everything() if log is None else log,
        {
            RowKey(model, token): (scope, Row.decode(bytes(state)), alive, shown)
            for model, token, scope, state, alive, shown in Register.objects.values_list(*columns)
        },
        {scope: bytes(value) for scope, value in Digest.objects.values_list("scope", "value")},
        {
            spec.label: {
                row[0]: tuple(map(repr, row[1:])) for row in spec.model._base_manager.values_list("token", *spec.names)
            }
            for spec in all_specs()
        },
    )


def verify(world: World) -> None:
    """Raise WrongError with everything that is not as promised."""
    looks = []
    for replica in world.replicas.values():
        with world.at(replica):
            here = look(replica)
            world.ledger.learn(changeset for _, changeset in here.log.values())
            looks.append(here)
            wrong = [f"{replica.label}: {line}" for check in EACH for line in check(world, here)]
            if wrong:
                raise WrongError("\n".join(wrong[:20]))
    wrong = [line for check in TOGETHER for line in check(world, looks)]
    if wrong:
        raise WrongError("\n".join(wrong[:20]))
    for here in looks:
        world.say(f"{here.replica.label} digest {registers_digest(here)} of {len(here.log)} changesets")


def registers_digest(here: Look) -> str:
    """Return the digest over all scopes, 64 hex digits."""
    return f"{sum(int.from_bytes(value, 'big') for value in here.digests.values()) % registers.MODULUS:064x}"


def state_is_the_rebuild(world: World, here: Look) -> Iterator[str]:
    """Registers, digests and rows are what the log gives when it is read anew."""
    with transaction.atomic():
        rebuild(set(here.registers))
        again = look(here.replica, here.log)
        transaction.set_rollback(True)
    for name, before, after in zip(("registers", "digests", "rows"), here.state(), again.state(), strict=True):
        if before != after:
            yield f"{name} are not those that a rebuild from the log gives: {_differences(before, after)}"


def heads_follow_from_the_log(world: World, here: Look) -> Iterator[str]:
    """The heads of each key are the writes that count and that none of the others names; by the witness's own reckoning."""
    written: dict[Place, set[bytes]] = {}
    over: dict[Place, set[bytes]] = {}
    for dot, changeset in here.applied():
        if changeset.head.scope == TRUST:
            continue
        for place, said in world.ledger.writes[dot].items():
            written.setdefault(place, set()).add(dot)
            over.setdefault(place, set()).update(said.over)
    here.heads = {place: frozenset(dots - over[place]) for place, dots in written.items()}
    for (row, key), dots in here.heads.items():
        state = here.registers.get(row)
        found = frozenset(state[1].heads.get(key, ())) if state else None
        if found != dots:
            yield f"{row.token} {key}: heads {_short(found)}; from the log {_short(dots)}"
    terms: dict[str, int] = {}
    for row, (scope, registers_, _, _) in here.registers.items():
        terms[scope] = terms.get(scope, 0) + registers.term(row, registers_.encode())
    for scope, value in terms.items():
        if int.from_bytes(here.digests.get(scope, b""), "big") != value % registers.MODULUS:
            yield f"the digest of {scope} is not the sum over its rows"


def rows_show_the_registers(world: World, here: Look) -> Iterator[str]:
    """A row is there exactly where it is alive and known, and shows the greatest head."""
    for row, (_, state, alive, shown) in here.registers.items():
        spec = spec_of(row.model)
        if spec is None:
            if shown or not _is_forged(world, state):
                yield f"{row.model} is not known after the upgrade, or counts as shown"
            continue
        deleted: Dots = frozenset().union(*state.deletes.values()) if state.deletes else frozenset()
        own = any(dot not in deleted for key, dots in state.heads.items() if key not in state.latest for dot in dots)
        if own and not alive:
            yield f"{row.token} lives by a write that no deletion has seen, and is not alive"
        if not shown and _is_forged(world, state):
            continue  # nonsense that no column takes is kept, counted and not shown
        if alive and not shown:
            yield f"{row.token} is alive and not shown"
        if alive != (row.token in here.rows.get(row.model, {})):
            yield f"{row.token} is {'alive and has no row' if alive else 'dead and has a row'}"


def _is_forged(world: World, state: Row) -> bool:
    return any(dot in world.ledger.forged for dots in state.heads.values() for dot in dots)


def nothing_waits(world: World, here: Look) -> Iterator[str]:
    """With time and upgrades nothing is held any more, and no write that counts names one that is held."""
    held = {dot for dot, (state, _) in here.log.items() if state == Entry.State.HELD}
    for dot in held:
        yield f"{dot.hex()[:8]} is held though its time has come"
    for dot, changeset in here.applied():
        if held & set(changeset.refs()):
            yield f"{dot.hex()[:8]} counts and names one that is held"


def nothing_is_there_twice(world: World, here: Look) -> Iterator[str]:
    """Each changeset stands in the log once, in one segment, complete."""
    total = Entry.objects.count()
    if total != len(here.log):
        yield f"{total} entries for {len(here.log)} changesets"
    if Segment.objects.count() > total:
        yield "there are segments without entries"


def acknowledged_writes_are_there(world: World, here: Look) -> Iterator[str]:
    """Whatever was acknowledged is a head of a row that is shown or knowingly deleted, or was overwritten, or is quarantined."""
    party = here.replica.place.party
    over: dict[Place, set[bytes]] = {}
    for dot, _ in here.applied():
        for place, said in world.ledger.writes[dot].items():
            over.setdefault(place, set()).update(said.over)
    for dot, step in world.ledger.acknowledged.items():
        changeset = world.ledger.changesets[dot]
        name = f"{dot.hex()[:8]} of step {step} ({changeset.head.name})"
        if dot in world.ledger.lost or not is_entitled(party, changeset.head.scope):
            continue
        if changeset.head.scope != ALL and changeset.head.name == here.replica.name:
            continue  # perhaps of a copy, whom this one never meets
        if dot not in here.log:
            if not here.replica.is_revoked and changeset.head.name not in world.ledger.judged:
                yield f"{name} was acknowledged and is not here"
            continue
        state = here.log[dot][0]
        if state == Entry.State.QUARANTINED and changeset.head.name not in world.ledger.judged:
            yield f"{name} is quarantined, and its origin is honest"
        if state == Entry.State.APPLIED and changeset.head.scope != TRUST:
            yield from _is_kept(here, world.ledger.writes[dot], dot, over, name)


def _is_kept(here: Look, writes: dict[Place, Said], dot: bytes, over: dict[Place, set[bytes]], name: str) -> Iterator[str]:
    for (row, key), said in writes.items():
        _, state, alive, _ = here.registers.get(row, ("", Row(), False, False))
        if dot not in state.heads.get(key, ()):
            if dot not in over.get((row, key), set()):
                yield f"{name}: {row.token} {key} is no head, and nobody overwrote it"
        elif not said.latest and not alive and not any(dot in seen for seen in state.deletes.values()):
            yield f"{name}: {row.token} {key} is a head of a row that is gone, and no deletion had seen it"


def equal_logs_give_equal_state(world: World, looks: list[Look]) -> Iterator[str]:
    """Replicas that hold the same changesets of a scope have the same digest of it and the same rows."""
    for one in looks:
        for other in looks:
            if one.replica.label >= other.replica.label or one.replica.is_revoked or other.replica.is_revoked:
                continue
            scopes = _scopes(one, other)
            yield from _same_log(one, other, scopes)
            for scope in scopes - {TRUST}:
                if one.digests.get(scope) != other.digests.get(scope):
                    yield f"{one.replica.label} and {other.replica.label} differ in the digest of {scope}"
            for label in one.rows:
                mine, theirs = _rows_of(world, one, label, scopes), _rows_of(world, other, label, scopes)
                if mine != theirs:
                    yield f"{one.replica.label} and {other.replica.label} differ in {label}: {_differences(mine, theirs)}"


def _scopes(one: Look, other: Look) -> set[str]:
    found = {changeset.head.scope for _, changeset in [*one.log.values(), *other.log.values()]}
    parties = one.replica.place.party, other.replica.place.party
    if one.replica.name == other.replica.name:  # copies of one never meet
        return found & {ALL, TRUST}
    return {scope for scope in found if all(is_entitled(party, scope) for party in parties)}


def _same_log(one: Look, other: Look, scopes: set[str]) -> Iterator[str]:
    mine = {(dot, state) for dot, (state, changeset) in one.log.items() if changeset.head.scope in scopes}
    theirs = {(dot, state) for dot, (state, changeset) in other.log.items() if changeset.head.scope in scopes}
    if mine != theirs:
        found = sorted((dot.hex()[:8], state) for dot, state in mine ^ theirs)
        yield f"{one.replica.label} and {other.replica.label} do not hold, or judge, alike: {found[:6]}"


def _rows_of(world: World, here: Look, label: str, scopes: set[str]) -> dict[str, tuple[Any, ...]]:
    found = {}
    for token, row in here.rows[label].items():
        state = here.registers.get(RowKey(label, token))
        if state is None or (state[0] in scopes and not _is_forged(world, state[1])):
            found[token] = row
    return found


def _differences(before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        found = [f"{key}: {before.get(key)!r} | {after.get(key)!r}" for key in sorted(keys, key=str)]
        return "; ".join(found)[:600]
    return f"{before!r} | {after!r}"[:600]


def _short(dots: Any) -> list[str] | None:
    return None if dots is None else sorted(dot.hex()[:8] for dot in dots)


Check = Callable[[World, Look], Iterator[str]]
EACH: tuple[Check, ...] = (
    state_is_the_rebuild,
    heads_follow_from_the_log,
    rows_show_the_registers,
    nothing_waits,
    nothing_is_there_twice,
    acknowledged_writes_are_there,
)
TOGETHER: tuple[Callable[[World, list[Look]], Iterator[str]], ...] = (equal_logs_give_equal_state,)

__all__ = ["exchange", "verify"]

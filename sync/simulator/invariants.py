"""What must be true when all is healed: the list of promises, each a function that yields what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from sync import registers, trusting
from sync.conflicts import Conflict
from sync.core.changeset import Changeset
from sync.core.policy import ALL, TRUST, Role, is_entitled
from sync.core.register import Row
from sync.core.slug import candidates
from sync.models import Claim, Digest, Entry, Register, Segment
from sync.rebuild import rebuild
from sync.registers import RowKey
from sync.registry import all_specs, spec_of
from sync.simulator.contradictions import all_ask_the_same, what_was_typed_is_in_sight
from sync.simulator.ledger import Place, Said, WrongError
from sync.simulator.replica import Replica, private_key
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
    conflicts: dict[tuple[str, str, str | None], Conflict] = field(default_factory=dict)  # by model, token, key

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
        {scope: bytes(value) for scope, value in Digest.objects.values_list("scope", "value") if any(bytes(value))},
        {
            spec.label: {
                row[0]: tuple(map(repr, row[1:]))
                for row in spec.model._base_manager.values_list("token", *(f.attname for f in spec.fields.values()))
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
    deletes: dict[RowKey, dict[bytes, Dots]] = {}
    for dot, changeset in here.applied():
        refs = changeset.refs()
        for op in changeset.head.ops:
            if op.seen is not None:
                deletes.setdefault(RowKey(op.model, op.token), {})[dot] = frozenset(refs[index] for index in op.seen)
    for row, (_, state, _, _) in here.registers.items():
        if state.deletes != deletes.get(row, {}):
            yield f"{row.token}: deletions {_short(state.deletes)}; from the log {_short(deletes.get(row, {}))}"
    here.heads = {place: frozenset(dots - over[place]) for place, dots in written.items()}
    for (row, key), dots in here.heads.items():
        kept = here.registers.get(row)
        found = frozenset(kept[1].heads.get(key, ())) if kept else None
        if found != dots:
            yield f"{row.token} {key}: heads {_short(found)}; from the log {_short(dots)}"
    terms: dict[str, int] = {}
    for row, (scope, registers_, _, _) in here.registers.items():
        terms[scope] = terms.get(scope, 0) + registers.term(row, registers_.encode())
    for scope, value in terms.items():
        if int.from_bytes(here.digests.get(scope, b""), "big") != value % registers.MODULUS:
            yield f"the digest of {scope} is not the sum over its rows"


def rows_show_the_registers(world: World, here: Look) -> Iterator[str]:
    """A row is there exactly where it lives: by a write that no deletion has seen, or by what is part of it."""
    wholes = _wholes(here)
    for row, (_, state, alive, shown) in here.registers.items():
        spec = spec_of(row.model)
        if spec is None:
            if shown or not _is_forged(world, state):
                yield f"{row.model} is not known after the upgrade, or counts as shown"
            continue
        is_for_ever = spec.immutable and any(state.heads.values())
        lives = _lives(state) or row in wholes or is_for_ever
        if lives != alive:
            why = "lives by a write that no deletion has seen, or by its parts, and is not" if lives else "was deleted, and is"
            yield f"{row.token} {why} alive"
        if not shown and _is_forged(world, state):
            continue  # nonsense that no column takes is kept, counted and not shown
        if alive and not shown:
            yield f"{row.token} is alive and not shown"
        if alive != (row.token in here.rows.get(row.model, {})):
            yield f"{row.token} is {'alive and has no row' if alive else 'dead and has a row'}"


def _lives(state: Row) -> bool:
    deleted: Dots = frozenset().union(*state.deletes.values()) if state.deletes else frozenset()
    return any(dot not in deleted for key, dots in state.heads.items() if key not in state.latest for dot in dots)


def _wholes(here: Look) -> set[RowKey]:
    """The rows that were written, and of which a row that is shown is a part."""
    found: set[RowKey] = set()
    for spec in all_specs():
        if spec.whole is not None:
            place = 1 + spec.names.index(str(spec.composition))
            found |= {RowKey(spec.whole.label, row[place - 1].strip("'")) for row in here.rows[spec.label].values()}
    return {row for row in found if row in here.registers and here.registers[row][1].deletes}


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


def signatures_are_good(world: World, here: Look) -> Iterator[str]:
    """Nothing stands in the log that its origin did not sign."""
    for dot, (_, changeset) in here.log.items():
        if dot not in world.ledger.genuine:
            keys = [private_key(changeset.head.name, number).public_key() for number in range(world.keys + 1)]
            if not any(_is_signed(key, changeset) for key in keys):
                yield f"{dot.hex()[:8]} is in the log, and {changeset.head.name} did not sign it"
            world.ledger.genuine.add(dot)


def _is_signed(key: Ed25519PublicKey, changeset: Changeset) -> bool:
    """Whether the signature is that of ``key``, or the signature of one that follows vouches for it."""
    try:
        key.verify(changeset.signature, b"edgecms changeset 1\n" + changeset.id)
    except InvalidSignature:
        return False
    return True


def nobody_holds_what_is_not_his(world: World, here: Look) -> Iterator[str]:
    """An edge holds the submissions of its own farm, and no others."""
    place = here.replica.place
    own = {ALL, TRUST, f"farm:{place.farm or place.name}"}
    for dot, (_, changeset) in here.log.items():
        if place.role is Role.EDGE and changeset.head.scope not in own:
            yield f"{dot.hex()[:8]} of the scope {changeset.head.scope} is none of its business"


def roles_are_those_given(world: World, here: Look) -> Iterator[str]:
    """Nobody has another role than a master gave him."""
    for item in trusting.listing():
        given = [other.place for other in world.replicas.values() if other.name == item["name"]]
        if given and item["role"] != given[0].role.value:
            yield f"{item['name']} is {item['role']} now, and was {given[0].role.value}"


def names_follow_from_claims(world: World, here: Look) -> Iterator[str]:
    """Whoever claimed a name first has it for ever; every value ever written leads to one row, by the witness's own reckoning."""
    owners: dict[tuple[str, str], str] = {}
    claims = []
    for dot, changeset in here.applied():
        for (row, key), said in world.ledger.writes[dot].items():
            spec = spec_of(row.model)
            if spec and key in spec.fields and spec.fields[key].policy == "claim" and _is_name(said.value):
                claims.append((changeset.head.stamp, row.token, said.value, dot, row.model))
    for _, token, value, _, model in sorted(claims):
        name = next(n for n in candidates(token, value) if owners.get((model, n), token) == token)
        owners[model, name] = token
    found = {(model, name): token for model, name, token in Claim.objects.values_list("model", "name", "token")}
    if found != owners:
        yield f"names are not those that follow from all claims: {_differences(found, owners)}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500 and value.isprintable()


def equal_logs_give_equal_state(world: World, looks: list[Look]) -> Iterator[str]:
    """Replicas that hold the same changesets of a scope have the same digest of it, rows and conflicts."""
    for one in looks:
        for other in looks:
            if one.replica.label >= other.replica.label or one.replica.is_revoked or other.replica.is_revoked:
                continue
            scopes = _scopes(one, other)
            yield from _same_log(world, one, other, scopes)
            for scope in scopes - {TRUST}:
                if one.digests.get(scope) != other.digests.get(scope):
                    yield f"{one.replica.label} and {other.replica.label} differ in the digest of {scope}"
            for label in one.rows:
                mine, theirs = _rows_of(one, label, scopes), _rows_of(other, label, scopes)
                if mine != theirs:
                    yield f"{one.replica.label} and {other.replica.label} differ in {label}: {_differences(mine, theirs)}"
            yield from all_ask_the_same(world, one, other, scopes)


def _scopes(one: Look, other: Look) -> set[str]:
    found = {changeset.head.scope for _, changeset in [*one.log.values(), *other.log.values()]}
    parties = one.replica.place.party, other.replica.place.party
    if one.replica.name == other.replica.name:  # copies of one never meet
        return found & {ALL, TRUST}
    return {scope for scope in found if all(is_entitled(party, scope) for party in parties)}


def _same_log(world: World, one: Look, other: Look, scopes: set[str]) -> Iterator[str]:
    mine, theirs = (_judged_alike(world, here, scopes) for here in (one, other))
    if mine != theirs:
        found = sorted((dot.hex()[:8], state) for dot, state in mine ^ theirs)
        yield f"{one.replica.label} and {other.replica.label} do not hold, or judge, alike: {found[:6]}"


def _judged_alike(world: World, here: Look, scopes: set[str]) -> set[tuple[bytes, int]]:
    """What is held, and how it was judged; but for what does not count of those whose key was taken from the list."""
    found = set()
    for dot, (state, changeset) in here.log.items():
        is_out = state == Entry.State.QUARANTINED and changeset.head.name in world.ledger.judged
        if changeset.head.scope in scopes and not is_out:
            found.add((dot, state))
    return found


def _rows_of(here: Look, label: str, scopes: set[str]) -> dict[str, tuple[Any, ...]]:
    found = {}
    for token, row in here.rows[label].items():
        state = here.registers.get(RowKey(label, token))
        if state is None or state[0] in scopes:
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
    signatures_are_good,
    nobody_holds_what_is_not_his,
    roles_are_those_given,
    names_follow_from_claims,
    what_was_typed_is_in_sight,
)
TOGETHER: tuple[Callable[[World, list[Look]], Iterator[str]], ...] = (equal_logs_give_equal_state,)

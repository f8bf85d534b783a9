"""Steps of masters, who say whom to trust; of newcomers, whom they admit; and of thieves, who have somebody's key."""

from __future__ import annotations

from dataclasses import replace

from sync import log, sweep, trust_admin
from sync.core import wire
from sync.core.errors import SyncError
from sync.core.policy import TRUST, Role, Verb, may
from sync.models import Tip
from sync.receive import receive
from sync.simulator.conversations import exchange
from sync.simulator.forging import forge
from sync.simulator.replica import Place, Replica
from sync.simulator.script import Step
from sync.simulator.world import World, everything, position, since


def revoke(world: World, replica: Replica, step: Step) -> None:
    """A master takes somebody off the list; sometimes from a number on, as when a key was stolen."""
    master, subject = _master(world, step), world.place(step.with_)
    if subject.place.role is Role.MASTER and subject.name == world.root.name:
        return
    with world.at(master):
        last = Tip.objects.filter(chain__name=subject.name, chain__scope="all").order_by("-seq").first()
        start = world.chance.random.randint(1, last.seq + 1) if last and world.chance.random.random() < 0.5 else None
        began = position()
        try:
            found = trust_admin.revoke(subject.name, start)
        except SyncError as error:
            world.say(f"{step.n} {master.label} may not revoke {subject.name}: {error.code}")
            return
        world.check_incarnation(master, since(began))
    world.ledger.judged.add(subject.name)
    for other in world.replicas.values():
        other.is_revoked = other.is_revoked or other.name == subject.name
    world.tally["revocations"] += 1
    until = f" from {start}" if start else ""
    world.say(f"{step.n} {master.label} revokes {subject.name}{until}: {found['quarantined']} quarantined")


def rekey(world: World, replica: Replica, step: Step) -> None:
    """A replica gets a new key, or comes back with one after it was revoked; the root enters it.

    Not while a copy of either runs: a copy of the root that has no other peer would never hear of the new key, nor be heard.
    """
    if replica.name == world.root.name or any(other.name == replica.name for other in _others(world, replica)):
        return
    if any(other.name == world.root.name for other in _others(world, world.root)):
        return
    replica.install_key(replica.key_number + 1)
    world.keys = max(world.keys, replica.key_number)
    with world.at(world.root):
        began = position()
        try:
            trust_admin.trust(replica.name, replica.place.role, replica.place.farm, replica.url, replica.public_text)
        except SyncError as error:
            world.say(f"{step.n} {replica.name} may not have a new key: {error.code}")
            return
        world.check_incarnation(world.root, since(began))
    replica.is_revoked = False
    world.ledger.judged.add(replica.name)
    world.tally["keys"] += 1
    world.say(f"{step.n} {replica.label} has key {replica.key_number}")


def steal(world: World, replica: Replica, step: Step) -> None:
    """Somebody who has the key of an edge or a node writes in its name, and hands that to whoever takes it."""
    victim = world.place(step.with_)
    if victim.place.role is not Role.MASTER and victim is not replica:
        forge(world, victim, replica, step)


NEWCOMERS = (
    Place("EDGE11", Role.EDGE, "thames"),
    Place("EDGE12", Role.EDGE, "severn"),
    Place("NODE11", Role.NODE, "thames"),
    Place("MASTER11", Role.MASTER),
)


def arrive(world: World, replica: Replica, step: Step) -> None:
    """The root admits somebody new. He has the trusted list, and takes all the rest from one who may have dropped much of it.

    Not while a copy of the root runs: one that has no other peer would never hear of him.
    """
    there = {other.name for other in world.replicas.values()}
    free = [place for place in NEWCOMERS if place.name not in there]
    if not free or len(there) > len(world.script.places) or any(o.name == world.root.name for o in _others(world, world.root)):
        return
    place = world.chance.random.choice(free)
    database = world.stores.open()
    newcomer = world.add(Replica(place, world.folder, database, world.chance, disk=world.new_disk()))
    with world.at(world.root):
        began = position()
        trust_admin.trust(newcomer.name, place.role, place.farm, newcomer.url, newcomer.public_text)
        world.check_incarnation(world.root, since(began))
        listed = log.pack([c for _, c in everything().values() if c.head.scope == TRUST])
    world.backups.pop(world.root.label, None)  # who admits somebody has to keep that
    with world.at(newcomer):
        trust_admin.trust(world.root.name, world.root.place.role, "", world.root.url, world.root.public_text, is_root=True)
        sweep.prepare()
        receive(wire.frames([listed]))
    world.tally["newcomers"] += 1
    world.say(f"{step.n} {newcomer.label} is admitted")
    _take_all(world, newcomer, step)


def _take_all(world: World, newcomer: Replica, step: Step) -> None:
    hosts = [other for other in _others(world, newcomer) if not other.is_revoked]
    host = world.chance.random.choice([h for h in hosts if may(newcomer.place.party, Verb.PULL, h.place.party)] or hosts)
    for one, other in ((host, world.root), (newcomer, host)):  # the host has to have heard of him
        if one is not other:
            with world.at(one):
                exchange(world, one, replace(step, with_=list(world.replicas.values()).index(other), kind=""))
                world.check_applied(one)


def _master(world: World, step: Step) -> Replica:
    masters = [each for each in world.replicas.values() if each.place.role is Role.MASTER and not each.is_revoked]
    return masters[step.at % len(masters)]


def _others(world: World, replica: Replica) -> list[Replica]:
    return [other for other in world.replicas.values() if other is not replica]


STEPS = {"arrive": arrive, "revoke": revoke, "rekey": rekey, "steal": steal}

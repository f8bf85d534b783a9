"""Steps of masters, who say whom to trust; and of thieves, who have somebody's key."""

from __future__ import annotations

from sync import trust_admin
from sync.core.errors import SyncError
from sync.core.policy import Role
from sync.models import Tip
from sync.simulator.forging import forge
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World, position, since


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


def _master(world: World, step: Step) -> Replica:
    masters = [each for each in world.replicas.values() if each.place.role is Role.MASTER and not each.is_revoked]
    return masters[step.at % len(masters)]


def _others(world: World, replica: Replica) -> list[Replica]:
    return [other for other in world.replicas.values() if other is not replica]


STEPS = {"revoke": revoke, "rekey": rekey, "steal": steal}

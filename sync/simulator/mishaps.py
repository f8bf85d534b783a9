"""Steps of misfortune: clocks that are wrong, processes that are killed, disks that are put back, copied, or filled by others."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from sync import compact as compaction
from sync import local, log, sweep
from sync.core.policy import Role
from sync.simulator import healing, schema
from sync.simulator.conversations import exchange, noticing
from sync.simulator.edits import Editor, acts
from sync.simulator.ledger import WrongError
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World, everything, position, since

FAR_MS = 73 * 365 * 86_400_000  # to about 2099


class Crash(BaseException):
    """The process was killed."""


def clock(world: World, replica: Replica, step: Step) -> None:
    """A wall clock is set: ahead within the drift, behind, or right."""
    replica.offset_ms = world.chance.random.choice((0, 0, 60_000, 290_000, 700_000, -60_000, -1_200_000, -86_400_000))
    world.tally["clocks"] += 1
    world.say(f"{step.n} {replica.label} has its clock at {replica.offset_ms} ms")


def crash(world: World, replica: Replica, step: Step) -> None:
    """The process is killed at some statement of an edit or an exchange."""
    random = world.chance.random
    left = random.choice((1, 2, 3, 5, 8, 13, 21, 34))

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash
        return execute(sql, params, many, context)

    start, is_edit = position(), random.random() < 0.5
    try:
        with connection.execute_wrapper(count):
            if is_edit:
                with transaction.atomic():
                    random.choice(list(acts().values()))(Editor(random))
            else:
                exchange(world, replica, step)
        made = [changeset for changeset in since(start) if changeset.head.name == replica.name and is_edit]
        world.ledger.acknowledge(step.n, made)
        world.check_incarnation(replica, made)
        world.say(f"{step.n} {replica.label} outran a crash")
    except Crash:
        world.tally["crashes"] += 1
        world.say(f"{step.n} {replica.label} crashes")
        restart(world, replica, step)
        made = since(start)
        world.ledger.learn(made)
        if is_edit:
            world.check_incarnation(replica, made)


def restart(world: World, replica: Replica, step: Step) -> None:
    """The process begins anew: what it had in memory is gone; forms stay open in browsers."""
    world.tabs[replica.label] = [tab for tab in world.tabs.get(replica.label, []) if tab.is_form]
    if connection.in_atomic_block:
        raise WrongError(f"{replica.label}: a transaction is open after a crash")
    world.say(f"{step.n} {replica.label} starts again")


def far(world: World, replica: Replica, step: Step) -> None:
    """A wall clock shows the year 2099, or is mended."""
    replica.offset_ms = 0 if replica.offset_ms > FAR_MS // 2 else FAR_MS
    world.tally["2099"] += 1
    world.say(f"{step.n} {replica.label} has the year {2099 if replica.offset_ms else 2026}")


def backup(world: World, replica: Replica, step: Step) -> None:
    """Somebody copies the database while it runs, and the mark beside it."""
    world.backups[replica.label] = (world.stores.take(replica.database), replica.mark, replica.data)
    world.say(f"{step.n} {replica.label} is backed up")


def restore(world: World, replica: Replica, step: Step) -> None:
    """The disk dies; the copy is put in its place. What only this replica held since then is gone with the disk.

    The file may be another or the same (a disk put back by the machine around it), the mark beside it old or as it was.
    """
    image, mark, folder = world.backups.get(replica.label, (None, None, None))
    if image is None or folder != replica.data:
        return
    before = set(everything())
    written = local.state().written
    world.stores.put(replica.database, image)
    gone_on = local.state().written < written
    is_other, is_whole = world.chance.random.random() < 0.5, world.chance.random.random() < 0.5
    replica.disk = world.new_disk() if is_other else replica.disk
    if is_whole:
        replica.put_mark(mark)
    restart(world, replica, step)
    gone = before - set(everything())
    for other in world.replicas.values():
        if other is not replica:
            with world.at(other):
                gone -= log.known(gone).keys()
    world.ledger.lost |= gone
    world.applied.pop(replica.label, None)
    if is_other or (gone_on and not is_whole):
        world.left.setdefault(replica.label, set()).add(local.state().incarnation)
    world.inherit(replica)
    world.tally["restores"] += 1
    how = f"{'another file' if is_other else 'the same file'}, {'old mark' if is_whole else 'mark as it was'}"
    world.say(f"{step.n} {replica.label} is restored ({how}); {len(gone)} changesets are gone with the disk")


def clone(world: World, replica: Replica, step: Step) -> None:
    """The folder of a replica is copied, and both copies run; the machine around the copy may be a copy too."""
    label = f"{replica.name}-copy"
    if label in world.replicas:
        return
    database = world.stores.open(world.stores.take(replica.database))
    is_machine = world.chance.random.random() < 0.5
    disk = replica.disk if is_machine else world.new_disk()
    copy = Replica(replica.place, world.folder, database, world.chance, label, disk, key_number=replica.key_number)
    copy.put_mark(replica.mark)
    copy.release, copy.is_revoked = replica.release, replica.is_revoked
    world.add(copy)
    with world.at(copy):
        world.inherit(copy)
        if not is_machine:
            world.left.setdefault(label, set()).add(local.state().incarnation)
    world.tally["clones"] += 1
    world.say(f"{step.n} {replica.label} is copied{' with its machine' if is_machine else ''}, and both run")


def age(world: World, replica: Replica, step: Step) -> None:
    """A replica runs an older release, which knows less. Only before anything was written."""
    if replica.release.hidden or position() > world.founded:
        return
    names = schema.hideable()
    hidden = world.chance.random.sample(names, min(len(names), world.chance.random.randint(1, 3)))
    replica.release = schema.Release(frozenset(hidden))
    world.tally["old releases"] += 1
    world.say(f"{step.n} {replica.label} does not know {', '.join(sorted(hidden))}")


def upgrade(world: World, replica: Replica, step: Step) -> None:
    """The newest release is installed, and its ``migrate`` runs."""
    if not replica.release.hidden:
        return
    healing.upgrade(replica)
    restart(world, replica, step)
    world.say(f"{step.n} {replica.label} is upgraded")


def compact(world: World, replica: Replica, step: Step) -> None:
    """A replica that is no master drops values that were overwritten, as far as a master holds them."""
    if replica.place.role is Role.MASTER:
        return
    with noticing(world):
        sweep.ask_masters()
        found = compaction.compact()
    world.tally["compactions"] += 1
    world.say(f"{step.n} {replica.label} compacts: {found.values_dropped} values dropped")


STEPS = {
    "compact": compact,
    "clock": clock,
    "far": far,
    "crash": crash,
    "restart": restart,
    "backup": backup,
    "restore": restore,
    "clone": clone,
    "age": age,
    "upgrade": upgrade,
}

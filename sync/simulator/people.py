"""Steps of people: they write, they open a row and save it later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction

from sync.core.changeset import Changeset
from sync.registers import RowKey
from sync.simulator import tabs
from sync.simulator.deeds import Tab
from sync.simulator.edits import Editor
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World, position, since


def edit(world: World, replica: Replica, step: Step, act_: Callable[[Editor], Any]) -> list[Changeset]:
    """Let somebody write, and let the witness see what the program said."""
    editor, start = Editor(world.chance.random), position()
    with transaction.atomic():
        act_(editor)
    made = since(start)
    world.ledger.acknowledge(step.n, made)
    world.check_incarnation(replica, made)
    dots = " ".join(changeset.dot.hex()[:8] for changeset in made)
    world.say(f"{step.n} {replica.label} {'; '.join(editor.deed.what) or 'does nothing'} -> {dots or 'nothing new'}")
    world.ledger.check(editor.deed, made)
    return made


def open_tab(world: World, replica: Replica, step: Step) -> None:
    """Somebody opens a row and goes for a walk."""
    random = world.chance.random
    tab = tabs.open_row(Editor(random), step.n, carries_versions=random.random() < 0.6)
    if tab is not None:
        world.tabs.setdefault(replica.label, []).append(tab)
        world.say(f"{step.n} {replica.label} opens {tab.instance.pk}{' with its versions' if tab.carried else ''}")


def submit(world: World, replica: Replica, step: Step) -> None:
    """Somebody comes back to what he had opened, here or elsewhere, and saves; a form that carries versions may be sent again."""
    if not world.tabs.get(replica.label):
        replica = next((other for other in world.replicas.values() if world.tabs.get(other.label)), replica)
    there, random = world.tabs.get(replica.label, []), world.chance.random
    if not there:
        open_tab(world, replica, step)
        return
    tab = there.pop(random.randrange(len(there)))
    with world.at(replica):
        send(world, replica, step, tab)
        world.check_applied(replica)
    if tab.carried and random.random() < 0.7:
        there.append(tab)


def send(world: World, replica: Replica, step: Step, tab: Tab, names: Sequence[str] = ()) -> None:
    """Change what stands in a form or an instance, and save that."""
    world.tally["forms sent again" if tab.count else "stale"] += 1
    # A session is kept for a day by the clock of the replica, and in its database.
    tab.remembers = not any(world.tally[each] for each in ("clocks", "2099", "restores"))
    made = edit(world, replica, step, lambda editor: tabs.submit(editor, tab, names))
    if tab.carried:
        _note(tab, made)


def _note(tab: Tab, made: list[Changeset]) -> None:
    row = RowKey(type(tab.instance)._meta.label_lower, tab.instance.pk)
    for changeset in made:
        tab.own.add(changeset.dot)
        for op in changeset.head.ops:
            for write in op.writes if (op.model, op.token) == row else ():
                tab.own_keys[write.key] = max(tab.sending, tab.own_keys.get(write.key, 0))


STEPS = {"open": open_tab, "submit": submit}

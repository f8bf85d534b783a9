"""Steps of people: they write, they open a row and save it later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from sync.simulator.edits import Editor
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World, position, since


def edit(world: World, replica: Replica, step: Step, act_: Callable[[Editor], Any]) -> None:
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


def open_tab(world: World, replica: Replica, step: Step) -> None:
    """Somebody opens a row and goes for a walk."""
    tab = Editor(world.chance.random).open(step.n)
    if tab is not None:
        world.tabs.setdefault(replica.label, []).append(tab)
        world.say(f"{step.n} {replica.label} opens {tab.instance.pk}")


def submit(world: World, replica: Replica, step: Step) -> None:
    """Somebody comes back to what he had opened, and saves."""
    tabs = world.tabs.get(replica.label, [])
    if tabs:
        tab = tabs.pop(world.chance.random.randrange(len(tabs)))
        world.tally["stale"] += 1
        edit(world, replica, step, lambda editor: editor.submit(tab))


STEPS = {"open": open_tab, "submit": submit}

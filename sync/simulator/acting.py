"""How each step of a script is done in a world."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sync.simulator import conversations, membership, mishaps, people, scenes
from sync.simulator.edits import ACTS, acts
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World

STEPS: dict[str, Callable[[World, Replica, Step], None]] = {
    **people.STEPS,
    **conversations.STEPS,
    **mishaps.STEPS,
    **membership.STEPS,
    **scenes.STEPS,
}


def act(world: World, step: Step) -> None:
    """Do one step. Raises WrongError where a promise is broken by it."""
    world.chance.wall_ms += step.ms
    world.chance.random = Random(f"{world.script.seed} {step.n}")  # noqa: S311
    world.tally["steps"] += 1
    replica = world.place(step.at)
    with world.at(replica):
        if step.do in STEPS:
            STEPS[step.do](world, replica, step)
        elif step.do in ACTS or not replica.release.hidden:  # an act of an app takes all of its models for known
            people.edit(world, replica, step, acts()[step.do])
        world.check_applied(replica)

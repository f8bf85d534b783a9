"""Steps of the network: exchanges, in all weathers; wake-ups; streams that come again; partitions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sync import conversation, peers, sweep
from sync.core import wire
from sync.core.errors import SyncError
from sync.core.policy import Verb, may
from sync.receive import receive
from sync.simulator.ledger import WrongError
from sync.simulator.network import Weather
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World

# What an exchange may end with when the trusted list, a key or an incarnation is not the same on both sides yet.
STRANGERS = {
    "replica_unknown",
    "replica_revoked",
    "key_unknown",
    "needs_operator",
    "origin_unknown",
    "previous_missing",
    "bad_signature",
}


def exchange(world: World, replica: Replica, step: Step) -> None:
    """Exchange with one peer, as the rule allows; ``kind`` is the fault that strikes on the way."""
    other = world.place(step.with_)
    listed = [peer for verb in Verb for peer in peers.allowed(verb) if peer.name == other.name]
    if not listed:
        return
    verbs = {verb for verb in Verb if may(replica.place.party, verb, listed[0].party)}
    world.network.weather = Weather(step.kind, world.chance.random)
    with noticing(world):
        result = conversation.exchange_with(listed[0], verbs)
    world.network.weather = Weather()
    report(world, replica, step, result, had_fault=bool(step.kind))


def report(world: World, replica: Replica, step: Step, result: Any, had_fault: bool) -> None:
    """Write down what an exchange came to. Raises WrongError for trouble that nothing explains."""
    code = result.error["code"] if result.error else "ok"
    figures = f"{result.sent} sent, {result.received} received, {result.applied} applied"
    if step.n or code != "ok" or result.sent or result.received:
        world.say(f"{step.n} {replica.label} {step.kind or 'with'} {result.name}: {code}, {figures}")
    world.tally["exchanges"] += 1
    if code in STRANGERS and world.ledger.judged:
        return
    if code == "replica_unknown" and world.tally["newcomers"]:
        return  # he was not heard of there yet
    if code not in ("ok", "peer_unavailable") and not had_fault:
        raise WrongError(f"{replica.label} with {result.name}: {result.error}")


@contextmanager
def noticing(world: World) -> Iterator[None]:
    """Raise what the exchange would log as unforeseen."""
    seen: list[BaseException] = []

    def note(*_: Any, **__: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            seen.append(error)

    before, conversation.logger.exception = conversation.logger.exception, note  # type: ignore[method-assign]
    try:
        yield
    finally:
        conversation.logger.exception = before  # type: ignore[method-assign]
    if seen:
        raise seen[0]


def react(world: World, replica: Replica, step: Step) -> None:
    """The worker answers what waits in the queue: pushes, and wakes those who may only pull."""
    with noticing(world):
        for result in sweep.react():
            report(world, replica, step, result, had_fault=False)
    waiting, world.wakes = world.wakes, []
    for label, peer in waiting:
        target = world.replicas.get(label)
        if target is None or not peer or world.chance.random.random() < 0.2:
            continue
        with world.at(target), noticing(world):
            for result in sweep.react(peer):
                report(world, target, step, result, had_fault=False)
            world.check_applied(target)


def again(world: World, replica: Replica, step: Step) -> None:
    """A stream that was sent before comes once more."""
    if not world.network.bodies:
        return
    body = world.chance.random.choice(world.network.bodies)
    world.tally["again"] += 1
    try:
        receipt = receive(wire.frames([body]))
        world.say(f"{step.n} {replica.label} gets a stream again: {receipt.applied} applied, refused {receipt.refused}")
    except SyncError as error:
        world.say(f"{step.n} {replica.label} gets a stream again: {error.code}")


def part(world: World, replica: Replica, step: Step) -> None:
    """The network falls apart."""
    labels = list(world.replicas)
    world.network.islands = [set(world.chance.random.sample(labels, world.chance.random.randint(1, len(labels) - 1)))]
    world.tally["partitions"] += 1
    world.say(f"{step.n} the network parts: {sorted(world.network.islands[0])} by themselves")


def join(world: World, replica: Replica, step: Step) -> None:
    """The network comes together."""
    world.network.islands = []
    world.say(f"{step.n} the network is whole")


STEPS = {"exchange": exchange, "faulty": exchange, "react": react, "again": again, "part": part, "join": join}

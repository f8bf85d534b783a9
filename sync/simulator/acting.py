"""How each step of a script is done in a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from django.db import connection, transaction

from sync import sweep
from sync.core import wire
from sync.core.errors import SyncError
from sync.core.policy import Verb, may
from sync.receive import receive
from sync.simulator.edits import ACTS, Editor
from sync.simulator.ledger import WrongError
from sync.simulator.network import Weather
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World, position, since


class Crash(BaseException):
    """The process was killed."""


def act(world: World, step: Step) -> None:
    """Do one step. Raises WrongError where a promise is broken by it."""
    world.chance.wall_ms += step.ms
    world.chance.random = Random(f"{world.script.seed} {step.n}")  # noqa: S311
    world.tally["steps"] += 1
    replica = world.place(step.at)
    with world.at(replica):
        if step.do in ACTS:
            edit(world, replica, step, ACTS[step.do])
        else:
            STEPS[step.do](world, replica, step)
        check_applied(world, replica)


def edit(world: World, replica: Replica, step: Step, act_: Callable[[Editor], Any]) -> None:
    """Let somebody write, and let the witness see what the program said."""
    editor, start = Editor(world.chance.random), position()
    with transaction.atomic():
        act_(editor)
    made = since(start)
    world.ledger.acknowledge(step.n, made)
    dots = " ".join(changeset.dot.hex()[:8] for changeset in made)
    world.say(f"{step.n} {replica.label} {'; '.join(editor.deed.what) or 'does nothing'} -> {dots or 'nothing new'}")
    world.ledger.check(editor.deed, made)


def check_applied(world: World, replica: Replica) -> None:
    """Raise WrongError where what counted here counts no more, though nobody changed the trusted list."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT dot FROM sync_entry WHERE state = 0")
        now = {bytes(dot) for (dot,) in cursor.fetchall()}
    for dot in world.applied.get(replica.label, set()) - now:
        known = world.ledger.changesets.get(dot)
        if known is None or known.head.name not in world.ledger.judged:
            raise WrongError(f"{replica.label}: {dot.hex()[:8]} was applied, and is no more")
    world.applied[replica.label] = now


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


def exchange(world: World, replica: Replica, step: Step) -> None:
    """Exchange with one peer, as the rule allows; ``kind`` is the fault that strikes on the way."""
    other = world.place(step.with_)
    world.network.weather = Weather(step.kind, world.chance.random)
    listed = [peer for verb in Verb for peer in sweep.peers(verb) if peer.name == other.name]
    if not listed:
        return
    verbs = {verb for verb in Verb if may(replica.place.party, verb, listed[0].party)}
    with noticing(world):
        result = sweep.exchange_with(listed[0], verbs)
    world.network.weather = Weather()
    report(world, replica, step, result, had_fault=bool(step.kind))


def report(world: World, replica: Replica, step: Step, result: Any, had_fault: bool) -> None:
    """Write down what an exchange came to. Raises WrongError for trouble that nothing explains."""
    code = result.error["code"] if result.error else "ok"
    figures = f"{result.sent} sent, {result.received} received, {result.applied} applied"
    world.say(f"{step.n} {replica.label} {step.kind or 'with'} {result.name}: {code}, {figures}")
    world.tally["exchanges"] += 1
    if code not in ("ok", "peer_unavailable") and not had_fault:
        raise WrongError(f"{replica.label} with {result.name}: {result.error}")


@contextmanager
def noticing(world: World) -> Iterator[None]:
    """Raise what the exchange would log as unforeseen."""
    seen: list[BaseException] = []

    def note(*_: Any, **__: Any) -> None:
        import sys

        error = sys.exc_info()[1]
        if error is not None:
            seen.append(error)

    before, sweep.logger.exception = sweep.logger.exception, note  # type: ignore[method-assign]
    try:
        yield
    finally:
        sweep.logger.exception = before  # type: ignore[method-assign]
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


def clock(world: World, replica: Replica, step: Step) -> None:
    """A wall clock is set: ahead within the drift, behind, or right."""
    replica.offset_ms = world.chance.random.choice((0, 0, 60_000, 290_000, -60_000, -1_200_000, -86_400_000))
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

    start = position()
    try:
        with connection.execute_wrapper(count):
            if random.random() < 0.5:
                with transaction.atomic():
                    ACTS[random.choice(list(ACTS))](Editor(random))
            else:
                exchange(world, replica, step)
        world.ledger.acknowledge(step.n, [c for c in since(start) if c.head.name == replica.name])
        world.say(f"{step.n} {replica.label} outran a crash")
    except Crash:
        world.tally["crashes"] += 1
        world.say(f"{step.n} {replica.label} crashes")
        restart(world, replica, step)
        world.ledger.learn(since(start))


def restart(world: World, replica: Replica, step: Step) -> None:
    """The process begins anew: what it had in memory is gone; forms stay open in browsers."""
    world.tabs[replica.label] = [tab for tab in world.tabs.get(replica.label, []) if tab.is_form]
    if connection.in_atomic_block:
        raise WrongError(f"{replica.label}: a transaction is open after a crash")
    world.say(f"{step.n} {replica.label} starts again")


STEPS: dict[str, Callable[[World, Replica, Step], None]] = {
    "open": open_tab,
    "submit": submit,
    "exchange": exchange,
    "faulty": exchange,
    "react": react,
    "again": again,
    "part": part,
    "join": join,
    "clock": clock,
    "crash": crash,
    "restart": restart,
}

"""The end of a run: the network is whole, clocks are right, releases are new, and everybody exchanges until all is quiet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from sync import log, rebuild, sweep
from sync.core.policy import ALL, TRUST, is_entitled
from sync.models import Entry
from sync.simulator import schema
from sync.simulator.conversations import noticing, report
from sync.simulator.ledger import WrongError
from sync.simulator.network import Weather
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World

ROUNDS = 8
HEALING = Step(0, "heal", 0, 0)


def heal(world: World) -> None:
    """Mend everything that a script may have broken. Raises WrongError where the exchange does not come to rest."""
    world.network.islands, world.network.weather = [], Weather()
    for replica in world.replicas.values():
        replica.offset_ms = 0
        with world.at(replica):
            _upgrade(replica)
    _let_time_pass(world)
    rest = world.chance.random.choice(list(world.replicas.values()))
    for round_ in range(ROUNDS):
        if _is_even(world):
            if rest.is_revoked or not _sweep(world, rest):
                world.say(f"quiet after {round_} rounds")
                return
            continue
        for replica in world.replicas.values():
            if not replica.is_revoked:
                _sweep(world, replica)
    raise WrongError(f"after {ROUNDS} rounds the exchange has not come to rest")


def _is_even(world: World) -> bool:
    """Whether all hold the same of what they may both hold, by the ends of their chains."""
    tips = {}
    for replica in world.replicas.values():
        if not replica.is_revoked:
            with world.at(replica):
                tips[replica] = log.tips()
    return all(shared(tips[one], one, other) == shared(tips[other], other, one) for one in tips for other in tips)


def shared(tips: Iterable[Any], one: Replica, other: Replica) -> list[Any]:
    """Return those of ``tips`` that both may hold. Two copies of one replica never meet, so of them only what all hold."""
    parties = one.place.party, other.place.party
    if one.name == other.name:
        return [tip for tip in tips if tip[0].scope in (ALL, TRUST)]
    return [tip for tip in tips if all(is_entitled(party, tip[0].scope) for party in parties)]


def _upgrade(replica: Replica) -> None:
    if replica.release.hidden:
        replica.release = schema.Release()
    with schema.running(replica.release), transaction.atomic():
        rebuild.retry_unprojected()


def _let_time_pass(world: World) -> None:
    """Until no clock that was ever stamped lies ahead."""
    world.chance.wall_ms += 1000
    for replica in world.replicas.values():
        with world.at(replica):
            latest = Entry.objects.order_by("-ms").values_list("ms", flat=True).first() or 0
        world.chance.wall_ms = max(world.chance.wall_ms, latest + 1)


def _sweep(world: World, replica: Replica) -> bool:
    """Exchange with everybody; return whether anything moved."""
    with world.at(replica), noticing(world):
        results = sweep.sweep()
        for result in results:
            report(world, replica, HEALING, result, had_fault=False)
        world.check_applied(replica)
    return any(result.sent or result.received for result in results)

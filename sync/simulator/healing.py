"""The end of a run: the network is whole, clocks are right, everybody exchanges until all is quiet, releases are new."""

from __future__ import annotations

from django.db import transaction

from sync import admission, exchange, local, registers, replay, sweep
from sync.core.policy import ALL, TRUST, is_entitled
from sync.models import Entry
from sync.simulator import schema
from sync.simulator.conversations import noticing, report
from sync.simulator.ledger import WrongError
from sync.simulator.network import Weather
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World

ROUNDS = 8  # where each has a name of its own
HEALING = Step(0, "heal", 0, 0)


def heal(world: World) -> None:
    """Mend everything that a script may have broken. Raises WrongError where the exchange does not come to rest."""
    world.network.islands, world.network.weather = [], Weather()
    for replica in world.replicas.values():
        replica.offset_ms = 0
    _let_time_pass(world)
    _release(world)
    if any(replica.release.hidden for replica in world.replicas.values()):
        _come_to_rest(world)
        _compare_releases(world)
        for replica in world.replicas.values():
            with world.at(replica):
                upgrade(replica)
    _come_to_rest(world)


def upgrade(replica: Replica) -> None:
    """Install the newest release, and do what its ``migrate`` does."""
    replica.release = schema.Release()
    with schema.running(replica.release), transaction.atomic():
        replay.after_upgrade()


def _come_to_rest(world: World) -> None:
    rest = world.chance.random.choice([replica for replica in world.replicas.values() if not replica.is_revoked])
    rounds = _rounds(world)
    for round_ in range(rounds):
        if _is_even(world):
            if not _sweep(world, rest):
                world.say(f"quiet after {round_} rounds")
                return
            continue
        for replica in world.replicas.values():
            if not replica.is_revoked:
                _sweep(world, replica)
    raise WrongError(f"after {rounds} rounds the exchange has not come to rest")


def _rounds(world: World) -> int:
    """Within how many rounds the exchange has to rest. Of two copies chance says which one answers, perhaps long the same."""
    names = [replica.name for replica in world.replicas.values()]
    return ROUNDS if len(set(names)) == len(names) else 5 * ROUNDS


def _is_even(world: World) -> bool:
    """Whether all hold the same of what they may both hold, by the ends of their chains."""
    there = [replica for replica in world.replicas.values() if not replica.is_revoked]
    tips = {replica: _tips(world, replica) for replica in there}
    return all(_shared(tips[one], one, other) == _shared(tips[other], other, one) for one in there for other in there)


def _tips(world: World, here: Replica) -> list[exchange.TipAt]:
    with world.at(here):
        return exchange.tips_between(here.place.party, world.root.place.party)


def _shared(tips: list[exchange.TipAt], one: Replica, other: Replica) -> list[exchange.TipAt]:
    """Return those of ``tips`` that both may hold. Two copies of one replica never meet, so of them only what all hold."""
    if one.name == other.name:
        return [tip for tip in tips if tip.chain.scope in (ALL, TRUST)]
    return [
        tip for tip in tips if is_entitled(one.place.party, tip.chain.scope) and is_entitled(other.place.party, tip.chain.scope)
    ]


def _compare_releases(world: World) -> None:
    """Raise WrongError where replicas that hold the same have another digest because they run another release."""
    found = set()
    for replica in world.replicas.values():
        if not replica.is_revoked:
            with world.at(replica):
                if not Entry.objects.filter(chain__name__in=world.ledger.judged).exists():
                    found.add(registers.digests().get(ALL, 0))
    if len(found) > 1:
        raise WrongError("replicas of different releases that hold the same have different digests")


def _let_time_pass(world: World) -> None:
    """Until no clock that was ever stamped lies ahead."""
    world.chance.wall_ms += 1000
    for replica in world.replicas.values():
        with world.at(replica):
            latest = Entry.objects.order_by("-ms").values_list("ms", flat=True).first() or 0
        world.chance.wall_ms = max(world.chance.wall_ms, latest + 1)


def _release(world: World) -> None:
    """What the next sweep of each replica begins with, also where there is nobody to exchange with."""
    for replica in world.replicas.values():
        with world.at(replica), transaction.atomic():
            local.take_turn()
            admission.release()


def _sweep(world: World, replica: Replica) -> bool:
    """Exchange with everybody; return whether anything moved."""
    with world.at(replica), noticing(world):
        results = sweep.sweep()
        for result in results:
            report(world, replica, HEALING, result, had_fault=False)
        world.check_applied(replica)
    return any(result.sent or result.received for result in results)

"""A run as data: who takes part, and the steps that are done. From a seed, and back from the lines that a failure prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import orjson

from sync.core.policy import Role
from sync.simulator.replica import Place

M1, M2 = Place("MASTER01", Role.MASTER), Place("MASTER02", Role.MASTER)
N1 = Place("NODE01", Role.NODE, "thames")
E1, E2 = Place("EDGE01", Role.EDGE, "thames"), Place("EDGE02", Role.EDGE, "thames")
E3 = Place("EDGE03", Role.EDGE, "severn")
CASTS: tuple[tuple[Place, ...], ...] = (
    (M1, E1, E2),
    (M1, M2, E1),
    (M1, N1, E1),
    (M1, E1, E3),
    (M1, N1, E1, E2),
    (M1, M2, E1, E3),
)

EDITS = {"create": 4, "save": 9, "update": 3, "delete": 2, "several": 2}
APP_ACT = 2  # the weight of each act that an app brings
# What a run may have beside edits and exchanges: the kinds of steps, each with its weight.
FEATURES: dict[str, dict[str, int]] = {
    "stale": {"open": 6, "submit": 10, "two_tabs": 3},
    "network": {"faulty": 8, "again": 2},
    "partitions": {"part": 2, "join": 1},
    "clocks": {"clock": 3},
    "far": {"far": 2},
    "crashes": {"crash": 4, "restart": 1},
    "restores": {"backup": 2, "restore": 2},
    "clones": {"clone": 1},
    "mixed": {"upgrade": 1},
    "trust": {"revoke": 1, "rekey": 1},
    "thieves": {"steal": 3},
    "compaction": {"compact": 3},
    "parts": {"dispute": 3, "sever": 4},
    "newcomers": {"arrive": 1, "compact": 2},
}
FAULTS = ("lost", "unanswered", "cut", "doubled", "shuffled", "altered", "stripped", "dropped")


@dataclass(frozen=True)
class Step:
    """``n`` is the seed of its dice, ``do`` what is done, ``at`` the place where, ``ms`` how long before nothing happened."""

    n: int
    do: str
    at: int
    ms: int
    with_: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Script:
    """The steps of one run."""

    seed: int
    cast: int
    steps: tuple[Step, ...]

    def encode(self) -> str:
        """Return it as lines of JSON: the first says seed and cast."""
        lines: list[Any] = [{"seed": self.seed, "cast": self.cast}, *(asdict(step) for step in self.steps)]
        return "\n".join(orjson.dumps(line).decode() for line in lines)

    @classmethod
    def decode(cls, text: str) -> Script:
        """Return the script of ``encode``'s lines."""
        first, *steps = [orjson.loads(line) for line in text.splitlines() if line.strip()]
        return cls(first["seed"], first["cast"], tuple(Step(**step) for step in steps))

    def with_steps(self, steps: tuple[Step, ...]) -> Script:
        """Return the same run with other steps."""
        return replace(self, steps=steps)

    @property
    def places(self) -> tuple[Place, ...]:
        """Who takes part."""
        return CASTS[self.cast]


def generate(seed: int, acts: Iterable[str] = (), length: int = 26) -> Script:
    """Return the script of ``seed``. Each run has some of the features, so that each feature is also seen by itself.

    ``acts`` are the names of acts that apps bring.
    """
    random = Random(f"script {seed}")  # noqa: S311
    cast = random.randrange(len(CASTS))
    weights = {**EDITS, "exchange": 10, "react": 3}
    if random.random() < 0.6:
        weights.update(dict.fromkeys(sorted(acts), APP_ACT))
    features = [name for name in FEATURES if random.random() < 0.3]
    for name in features:
        weights.update(FEATURES[name])
    kinds, counts = list(weights), list(weights.values())
    first = ["age", "age"] if "mixed" in features else []
    steps = []
    for number in range(1, random.randint(length // 2, length) + 1):
        do = first.pop() if first else "create" if number <= 3 else random.choices(kinds, counts)[0]
        steps.append(_step(number, do, random, len(CASTS[cast])))
    return Script(seed, cast, tuple(steps))


def _step(number: int, do: str, random: Random, count: int) -> Step:
    at = random.randrange(count)
    other = random.choice([place for place in range(count) if place != at])
    kind = random.choice(FAULTS) if do == "faulty" else ""
    return Step(number, do, at, random.choice((0, 0, 1, 1, 500, 500, 20_000, 20_000, 400_000)), other, kind)

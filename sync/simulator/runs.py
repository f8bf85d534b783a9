"""Running seeds: a script is done, everything is healed, every promise is checked; what fails is made small."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync.simulator.acting import act
from sync.simulator.edits import ACTS, acts
from sync.simulator.healing import heal
from sync.simulator.invariants import verify
from sync.simulator.ledger import WrongError
from sync.simulator.script import CASTS, Script, Step, generate
from sync.simulator.world import World


@dataclass
class Outcome:
    """What one run came to. ``error`` says what was wrong, empty where nothing was; ``where`` is the step that it came at."""

    script: Script
    trace: list[str]
    tally: Counter[str] = field(default_factory=Counter)
    error: str = ""
    kind: str = ""

    @property
    def gist(self) -> str:
        """What kind of failure it is: the words of its first line (of an error nobody foresaw, its last), without names."""
        lines = [line for line in self.error.splitlines() if line.strip()] or [""]
        line = lines[0] if self.kind == WrongError.__name__ else lines[-1]
        return f"{self.kind} {' '.join(re.findall(r'(?<![^ ])[a-z]+(?![^ ,;:])', line)[:8])}"

    @property
    def failed(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.error)


def run_seed(seed: int, stores: Any) -> Outcome:
    """Run the script of ``seed``, with all that the apps of this site can do."""
    return run(generate(seed, acts().keys() - ACTS.keys()), stores)


def run(script: Script, stores: Any) -> Outcome:
    """Do one script from its beginning, in databases of its own."""
    world = World(stores, script)
    error = kind = ""
    try:
        with world.running():
            for step in script.steps:
                act(world, step)
            heal(world)
            verify(world)
    except Exception as failure:
        kind = type(failure).__name__
        error = str(failure) if isinstance(failure, WrongError) else "".join(traceback.format_exception(failure))
    return Outcome(script, world.trace, world.tally, error, kind)


def found_sites(stores: Any) -> None:
    """Bring up the site of every cast once, so that a mistake that is planted later is in runs, and in no site that others copy."""
    for cast in range(len(CASTS)):
        run(Script(0, cast, ()), stores)


def shrink(script: Script, fails: Callable[[Script], bool], budget: int = 400) -> Script:
    """Return a part of ``script`` that still fails and of which no step can be left out; at most ``budget`` runs.

    After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
    """
    steps, size = list(script.steps), max(1, len(script.steps) // 2)
    while budget > 0:
        removed = False
        start = 0
        while start < len(steps) and budget > 0:
            rest: Sequence[Step] = steps[:start] + steps[start + size :]
            budget -= 1
            if fails(script.with_steps(tuple(rest))):
                steps, removed = list(rest), True
            else:
                start += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2) if not removed else min(size, max(1, len(steps) // 2))
    return script.with_steps(tuple(steps))


def smallest(outcome: Outcome, stores: Any) -> Outcome:
    """Return the outcome of the shortest script that fails as ``outcome`` did."""

    def fails(script: Script) -> bool:
        again = run(script, stores)
        return again.failed and again.gist == outcome.gist

    return run(shrink(outcome.script, fails), stores)

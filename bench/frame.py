"""What every bench has: its options, its rounds, and the one form in which results are kept and printed.

A bench is a module ``bench/NAME.py`` with a ``BENCH`` and a function that takes measurements into a ``Report``:

    def measure(options, report):
        for number, (name, work) in turns(options.rounds, contestants):
            report.take("nothing new", name, seconds=work())

    BENCH = Bench(__doc__, measure, {"seconds": Measure("s", ".3f")}, beside=("the limit",))

    if __name__ == "__main__":
        main(BENCH)
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bench.machine import Watch, machine, versions
from bench.table import table

BUILD = Path(__file__).resolve().parent.parent / "build" / "bench"
RESULTS = BUILD / "results.json"
ROUNDS = 3

Options = argparse.Namespace
Each = TypeVar("Each")


class CannotError(RuntimeError):
    """A bench, or a contestant, cannot be had on this machine; the text says why, and what would help."""


class Measure(NamedTuple):
    """What is measured: its unit, how Python formats it, and whether more of it is better. ``scale``: unit per what is taken."""

    unit: str
    format: str = ".2f"
    more_is_better: bool = False
    scale: float = 1.0


@dataclass(frozen=True)
class Bench:
    """A bench. The first of ``measures`` leads: by it everybody is compared with those named in ``beside``.

    ``quick`` are the values that ``--quick`` gives to the bench's own options, which ``arguments`` adds to the parser.
    """

    about: str
    measure: Callable[[Options, Report], None]
    measures: Mapping[str, Measure]
    beside: Sequence[str] = ()
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    quick: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its module."""
        return Path(self.measure.__code__.co_filename).stem


class Report:
    """Takes what a bench measures: for each case, contestant and measure the values of all rounds."""

    def __init__(self, bench: str) -> None:
        self.bench = bench
        self.taken: dict[str, dict[str, dict[str, list[float]]]] = {}
        self.refusals: dict[str, str] = {}
        self.notes: list[str] = []
        self.versions: dict[str, str] = {}
        self.extra: dict[str, Any] = {}

    def take(self, case: str, contestant: str, **values: float) -> None:
        """Keep what one round gave."""
        found = self.taken.setdefault(case, {}).setdefault(contestant, {})
        for measure, value in values.items():
            found.setdefault(measure, []).append(value)

    def cannot(self, contestant: str, why: object) -> None:
        """Say that a contestant cannot be had, and why."""
        self.refusals[contestant] = str(why)
        self.say(f"{contestant} cannot be had: {why}")

    def note(self, text: str) -> None:
        """Say something below the table."""
        self.notes.append(text)

    def say(self, text: str) -> None:
        """Tell whoever waits what is going on."""
        print(f"[{time.strftime('%H:%M:%S')}] {self.bench}: {text}", file=sys.stderr, flush=True)

    def cases(self) -> list[dict[str, Any]]:
        """Return all that was taken, in its order, with median, min and max."""
        return [
            {
                "case": case,
                "contestants": [
                    {"name": name, **{measure: summary(values) for measure, values in measures.items()}}
                    for name, measures in contestants.items()
                ],
            }
            for case, contestants in self.taken.items()
        ]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return ``median``, ``min``, ``max`` and the ``values`` themselves, in the order of the rounds."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": list(values)}


def turns(rounds: int, everybody: Sequence[Each]) -> Iterator[tuple[int, Each]]:
    """Yield everybody in each round, with its number from 1; every other round backwards, so that nobody always comes first."""
    for number in range(1, rounds + 1):
        for each in everybody if number % 2 else reversed(everybody):
            yield number, each


def options_of(bench: Bench, argv: Sequence[str] | None = None) -> Options:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{bench.name}", description=bench.about.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured, in turn (%(default)s)")
    parser.add_argument("--no-peers", action="store_true", help="leave out what has to be installed first")
    parser.add_argument("--quick", action="store_true", help="see only that it runs: one round, smallest sizes, no peers")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    bench.arguments(parser)
    if parser.parse_known_args(argv)[0].quick:
        parser.set_defaults(rounds=1, no_peers=True, **bench.quick)
    return parser.parse_args(argv)


def run(bench: Bench, options: Options) -> dict[str, Any]:
    """Run a bench and return its result as it is kept and printed."""
    report, watch, about = Report(bench.name), Watch(), machine()
    why_not = ""
    try:
        bench.measure(options, report)
    except CannotError as error:
        why_not = str(error)
    return {
        "bench": bench.name,
        "about": bench.about.splitlines()[0],
        "why_not": why_not,
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "machine": {**about, **watch.others()},
        "versions": {**versions(), **report.versions},
        "seconds": watch.seconds(),
        "measures": {name: measure._asdict() for name, measure in bench.measures.items()},
        "beside": list(bench.beside),
        "cases": report.cases(),
        "refusals": report.refusals,
        "notes": report.notes,
        "extra": report.extra,
    }


def keep(result: Mapping[str, Any]) -> None:
    """Put a result into the file of all results, in place of the last one of its bench."""
    results = kept()
    results[result["bench"]] = result
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    fresh = RESULTS.with_suffix(".new")
    fresh.write_text(json.dumps(results, indent=1))
    fresh.replace(RESULTS)


def kept() -> dict[str, Any]:
    """Return the last result of each bench."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def main(bench: Bench, argv: Sequence[str] | None = None) -> None:
    """Run a bench from the command line. What is not ``--quick`` is kept in ``build/bench/results.json`` too."""
    options = options_of(bench, argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was started is ended
    result = run(bench, options)
    if not options.quick:
        keep(result)
    print(json.dumps(result) if options.json else "\n".join(table(result)))

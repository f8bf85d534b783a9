"""How fast does an empty replica pull a site, notice that there is nothing new, and pull 100 changes?

``python -m bench.sync [--sizes 1000 10000 100000]``: edgecms with a record and with 100 records a changeset, beside Morango, PouchDB and
the shortest pipe that moves the same records. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.frame import Bench, CannotError, Measure, Options, Report, main, turns
from bench.records import to_file
from bench.resident import Resident
from bench.sides import (
    MORANGO,
    PIPE,
    POUCHDB_100,
    POUCHDB_1000,
    SLEEPLESS,
    Edgecms,
    Hundreds,
    Morango,
    Pipe,
    PouchDB,
    Side,
    Singles,
)

CHANGED = 100  # records
AGAIN = 5  # pulls of nothing new in a row, of which the median counts
Contestant = tuple[Side, str]


def sides(folder: Path, count: int, records: Path, options: Options) -> Iterator[Side]:
    """Yield everybody, not started yet."""
    kinds: list[type[Side]] = [Singles, Pipe] if options.quick else [Singles, Hundreds, Pipe]
    peers = [] if options.no_peers else [PouchDB, Morango] if count <= options.slow_up_to else [PouchDB]
    for kind in [*kinds, *peers]:
        place = folder / kind.__name__.lower()
        yield kind(place, count, records, options.rounds) if issubclass(kind, Edgecms) else kind(place, count, records)


class Case(NamedTuple):
    """What is measured: its name, how many records are to come, and how often in a row."""

    name: str
    expected: int
    times: int = 1


def pull(contestant: Contestant, receiver: Resident, case: Case, report: Report) -> dict[str, Any]:
    """Pull, several times if there is nothing new; take what it cost and return what the receiver said last."""
    side, mode = contestant
    side.meter.reset()
    before = side.processor()
    found = [receiver.ask(case.expected) for _ in range(case.times)]
    seconds = statistics.median(one["seconds"] for one in found)
    report.take(
        case.name,
        mode,
        seconds=seconds,
        with_start=receiver.start + seconds,
        **({"per_second": case.expected / seconds} if case.expected else {}),
        server=(side.processor() - before) / case.times,
        memory=found[-1]["memory"],
        sent=side.meter.up / case.times,
        received=side.meter.down / case.times,
        requests=side.meter.requests / case.times,
    )
    return found[-1]


def check(what: str, found: int, wanted: int) -> None:
    """Raise RuntimeError where less came than was to come: a figure for less would be a lie."""
    if found < wanted:
        raise RuntimeError(f"{what}: {found} came of {wanted}")


def one_size(count: int, folder: Path, options: Options, report: Report) -> None:
    """Measure everybody with ``count`` records."""
    records = folder / "records.ndjson"
    to_file(records, count)
    everybody: list[Contestant] = []
    receivers: dict[tuple[str, int], Resident] = {}
    some = min(CHANGED, count)
    full, changed = Case(f"{count:,} records, all", count), Case(f"{count:,} records, {some} changed", some)
    with contextlib.ExitStack() as stack:
        for side in sides(folder, count, records, options):
            stack.callback(side.stop)
            report.say(f"{count:,} records for {', '.join(side.modes)}")
            try:
                side.start()
            except CannotError as error:
                for mode in side.modes:
                    report.cannot(mode, error)
                continue
            report.versions |= side.versions
            everybody += [(side, mode) for mode in side.modes]
        for number, contestant in turns(options.rounds, everybody):
            side, mode = contestant
            report.say(f"{count:,} records, round {number}, {mode}")
            receiver = receivers[mode, number] = side.receiver(mode, number)
            stack.callback(receiver.end)
            found = pull(contestant, receiver, full, report)
            check(mode, found.get("held", side.held(mode, number)), count)
            pull(contestant, receiver, Case(f"{count:,} records, nothing new", 0, 1 if mode == MORANGO else AGAIN), report)
        for side in dict.fromkeys(side for side, _ in everybody):
            side.change(some)
        for number, contestant in turns(options.rounds, everybody):
            found = pull(contestant, receivers[contestant[1], number], changed, report)
            check(contestant[1], found.get("changed", some), some)


def measure(options: Options, report: Report) -> None:
    """Measure each size in a folder of its own."""
    for count in options.sizes:
        with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as folder:
            one_size(count, Path(folder), options, report)
    if not options.no_peers and max(options.sizes) > options.slow_up_to:
        report.note(f"Morango was measured up to {options.slow_up_to:,} records; --slow-up-to N goes on")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    sizes = [1_000, 10_000, 100_000]
    parser.add_argument("--sizes", nargs="+", type=int, default=sizes, metavar="N", help="how many records (%(default)s)")
    parser.add_argument(
        "--slow-up-to", type=int, default=10_000, metavar="N", help="Morango up to so many records (%(default)s)"
    )


BENCH = Bench(
    __doc__,
    measure,
    {
        "seconds": Measure("s", ".3f"),
        "with_start": Measure("s"),
        "per_second": Measure("", ",.0f", more_is_better=True),
        "server": Measure("CPU ms", ",.0f", scale=1e3),
        "memory": Measure("MB", ".0f", scale=1e-6),
        "sent": Measure("KB", ",.1f", scale=1e-3),
        "received": Measure("KB", ",.1f", scale=1e-3),
        "requests": Measure("", ".0f"),
    },
    beside=(POUCHDB_100, POUCHDB_1000, SLEEPLESS, PIPE),
    arguments=arguments,
    quick={"sizes": [50]},
)

if __name__ == "__main__":
    main(BENCH)

"""How does each cost grow with rows, with replicas that write, with edits of one row?

``python -m bench.growth [--rows 1000 10000 100000] [--replicas 2 10 100 1000] [--edits 1 10 100 1000]``; see docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench import replicas
from bench.frame import BUILD, Bench, Measure, Options, Report, main, turns
from bench.loglog import drawing, exponent
from bench.measure import wait_for
from bench.resident import Resident
from deploy.local.processes import stop
from deploy.local.replica import Replica

MISSING = 100  # changesets
COSTS = {
    "pull": f"pull {MISSING} missing",
    "nothing": "pull nothing new",
    "save": "save a page",
    "status": "sync_status",
    "render": "render a page",
    "derive": "derive a row anew",
}
SMALL = 1_000  # rows of a site of which something else grows


@dataclass
class Site:
    """A master and an edge that holds the same, of one size."""

    size: int
    master: Replica
    edge: Replica
    at_master: Resident
    at_edge: Resident

    def warm(self) -> None:
        """Let one changeset go the way of all: the processes on it load what it takes."""
        self.at_master.ask("change 1")
        self.at_edge.ask(f"pull {self.master.name} 1")

    def take(self, case: str, report: Report) -> None:
        """Measure every cost once."""
        pull = f"pull {self.master.name}"
        self.at_edge.ask(f"{pull} -1")  # whatever the last round has left
        self.at_master.ask(f"change {MISSING}")
        found = {"pull": self.at_edge.ask(f"{pull} {MISSING}"), "nothing": self.at_edge.ask(f"{pull} 0")}
        found |= {cost: self.at_master.ask(cost) for cost in ("save", "status", "render", "derive")}
        report.take(case, f"{self.size:,}", **{cost: found[cost]["seconds"] * 1000 for cost in COSTS})


@contextlib.contextmanager
def site(folder: Path, size: int, rows: int, authors: int, edits: int) -> Iterator[Site]:
    """Make a site and keep both running. The edge begins as a copy of the master, which any edge would come to hold."""
    master = replicas.make("MASTER01", "master", folder / "master", WEB_CONCURRENCY="1")
    edge = replicas.make("EDGE01", "edge", folder / "edge", farm="bench")
    replicas.inside(master, "prepare", trust=[replicas.introduction(edge)])
    with contextlib.ExitStack() as stack:
        at_master = _resident(master, stack)
        for work in ("found 3", f"grow {rows} {authors}", f"edit {edits}", "carefully"):
            at_master.ask(work)
        _copy(master, edge)
        replicas.inside(edge, "prepare", trust=[replicas.introduction(master)])
        master.start_web()
        stack.callback(stop, [master.web])
        wait_for(f"{master.url}/readyz")
        made = Site(size, master, edge, at_master, _resident(edge, stack))
        made.warm()
        yield made


def _resident(replica: Replica, stack: contextlib.ExitStack) -> Resident:
    found = Resident([sys.executable, "-m", "bench.growing"], replica.env, replica.folder / "growing.log")
    stack.callback(found.end)
    return found


def _copy(source: Replica, target: Replica) -> None:
    """Give ``target`` the database of ``source``, as one that has never written."""
    with (
        closing(sqlite3.connect(source.folder / replicas.DATABASE)) as here,
        closing(sqlite3.connect(target.folder / replicas.DATABASE)) as there,
    ):
        here.backup(there)
    replicas.make_new(target)
    shutil.rmtree(target.folder / "pages", ignore_errors=True)


def axis(name: str, sizes: Sequence[int], options: Options, report: Report) -> None:
    """Let one number grow and the others stand, and take every cost at every size."""
    case = f"ms, against {name}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecms-bench-")))
        sites = []
        for size in sizes:
            report.say(f"a site of {size:,} {name}")
            rows = size if name == "rows" else max(size, options.small) if name == "replicas" else options.small
            authors, edits = size if name == "replicas" else 1, size if name == "edits" else 1
            sites.append(stack.enter_context(site(folder / str(size), size, rows, authors, edits)))
        for number, each in turns(options.rounds, sites):
            report.say(f"round {number}, {each.size:,} {name}")
            each.take(case, report)
    taken = {cost: [(size, statistics.median(report.taken[case][f"{size:,}"][cost])) for size in sizes] for cost in COSTS}
    if len(sizes) > 1:
        report.take(case, "exponent", **{cost: exponent(points) for cost, points in taken.items()})
        report.take(case, "at its end", **{cost: exponent(points[-2:]) for cost, points in taken.items()})
        _draw(name, {COSTS[cost]: points for cost, points in taken.items()}, report)


def _draw(name: str, lines: dict[str, list[tuple[int, float]]], report: Report) -> None:
    path = BUILD / f"growth-{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawing(f"Milliseconds against {name}", "ms", lines))
    report.note(f"drawn in {path.relative_to(BUILD.parent.parent)}")


def measure(options: Options, report: Report) -> None:
    """One axis after the other."""
    for name in ("rows", "replicas", "edits"):
        if sizes := getattr(options, name):
            axis(name, sizes, options, report)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--rows", nargs="*", type=int, default=[1_000, 10_000, 100_000], metavar="N", help="(%(default)s)")
    parser.add_argument("--replicas", nargs="*", type=int, default=[2, 10, 100, 1_000], metavar="N", help="(%(default)s)")
    parser.add_argument("--edits", nargs="*", type=int, default=[1, 10, 100, 1_000], metavar="N", help="(%(default)s)")
    parser.add_argument("--small", type=int, default=SMALL, metavar="N", help="rows where something else grows (%(default)s)")


BENCH = Bench(
    __doc__,
    measure,
    {cost: Measure("", ".2f") for cost in COSTS},
    arguments=arguments,
    quick={"rows": [200], "replicas": [], "edits": [], "small": 100},
)

if __name__ == "__main__":
    main(BENCH)

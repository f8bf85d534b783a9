"""How fast does an empty edge pull a site? Beside it, in the same run, the shortest pipe that moves the same records.

``python -m bench.pull [--sizes 1000 10000] [--rounds 3] [--json]``; see bench/README.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from bench.measure import TOP, Run, figures, free_port, run, wait_for
from bench.records import to_file
from deploy.local.installation import identify
from deploy.local.processes import Process, stop
from deploy.local.replica import Replica

CHANGED = 100  # records
ACCESS_LOG = "master.access"
CASES = {"empty": "all, into an empty one", "unchanged": "nothing new", "changed": "the changed ones"}


class Bench:
    """One size: a master that holds the records, the pipe that serves them too, and an edge for each round."""

    def __init__(self, root: Path, count: int) -> None:
        self.root, self.count, self.changed = root, count, min(CHANGED, count)
        self.records = root / "records.ndjson"
        self.bytes = to_file(self.records, count)
        log = f"--access-logfile {root / ACCESS_LOG} --access-logformat '%(U)s %(B)s'"
        extra = {"GUNICORN_CMD_ARGS": log}
        self.master = Replica("MASTER01", "BENCH", "master", "", root / "master", free_port(), extra=extra)
        port = free_port()
        self.pipe_url = f"http://127.0.0.1:{port}"
        gunicorn = [str(Path(sys.executable).with_name("gunicorn")), "--config", "/dev/null", "--threads", "8"]
        self.pipe_env = {**os.environ, "BENCH_RECORDS": str(self.records)}
        pipe = [*gunicorn, "--bind", f"127.0.0.1:{port}", "--no-control-socket", "bench.pipe:app"]
        self.pipe = Process("pipe", pipe, self.pipe_env, TOP, root / "pipe.log")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Make the records, start both servers, and end them."""
        self.master.must("migrate", "--verbosity", "0")
        self.master.must("shell", "-c", f"from bench.records import write; write({str(self.records)!r})")
        try:
            self.master.start_web()
            self.pipe.start()
            wait_for(f"{self.master.url}/readyz")
            wait_for(f"{self.pipe_url}/0")
            yield
        finally:
            stop([self.master.web, self.pipe])

    def edge(self, number: int) -> Replica:
        """Return a new empty edge with a key of its own; master and edge trust each other."""
        edge = Replica(f"EDGE{number:02}", "BENCH", "edge", "bench", self.root / f"edge{number}", free_port())
        edge.must("migrate", "--verbosity", "0")
        self.master.trust(edge, str(identify(edge)))
        edge.trust(self.master, str(identify(self.master)))
        return edge

    def pull(self, edge: Replica) -> Run:
        """Let the edge pull from the master (it knows the other edges too, which do not run); measured is the whole command."""
        return run([sys.executable, "manage.py", "sync_pull", self.master.name, "--json"], edge.env)

    def limit(self, database: Path, count: int) -> Run:
        """Let the client of the pipe read ``count`` records; measured is the whole command."""
        return run([sys.executable, "-m", "bench.pipe", f"{self.pipe_url}/{count}", str(database)], self.pipe_env)

    def both(self, number: int, edge: Replica, count: int) -> tuple[Run, Run]:
        """Measure the pull and its limit, in turn the one and the other first."""
        database = self.root / f"pipe{number}.sqlite3"
        if number % 2:
            return self.pull(edge), self.limit(database, count)
        limit = self.limit(database, count)
        return self.pull(edge), limit

    def measure(self, rounds: int) -> dict[str, Any]:
        """Run all rounds and return the figures of this size."""
        taken: dict[str, list[tuple[Run, Run]]] = {case: [] for case in CASES}
        edges = []
        for number in range(1, rounds + 1):
            edges.append(edge := self.edge(number))
            taken["empty"].append(self.both(number, edge, self.count))
            self.check(edge, number)
            taken["unchanged"].append(self.both(number, edge, 0))
        sent = self.sent()
        self.master.must("shell", "-c", f"from bench.records import change; change({self.changed})")
        for number, edge in enumerate(edges, 1):
            taken["changed"].append(self.both(number, edge, self.changed))
            self.check_change(taken["changed"][-1][0])
        moved = {"empty": self.count, "unchanged": 0, "changed": self.changed}
        cases = {case: compared(runs, moved[case]) for case, runs in taken.items()}
        return {"records": self.count, "record_bytes": self.bytes, "response_bytes": sent, "cases": cases}

    def check(self, edge: Replica, number: int) -> None:
        """See that both have every record. Raises RuntimeError: a figure for less would be a lie."""
        for database, table in (
            (edge.folder / "db.sqlite3", "content_section"),
            (self.root / f"pipe{number}.sqlite3", "record"),
        ):
            with contextlib.closing(sqlite3.connect(database)) as connection:
                [held] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if held != self.count:
                raise RuntimeError(f"{database} holds {held} records of {self.count}")

    def check_change(self, pull: Run) -> None:
        """See that a pull brought every change, each a changeset. Raises RuntimeError."""
        [peer] = json.loads(pull.stdout)["peers"]
        if peer["applied"] < self.changed:
            raise RuntimeError(f"{peer['applied']} changesets came for {self.changed} changed records")

    def sent(self) -> int:
        """Return the bytes of the largest answer of the master to a pull: all records, as they travel."""
        answers = [line.split() for line in (self.root / ACCESS_LOG).read_text().splitlines()]
        return max(int(size) for path, size in answers if path.endswith("/pull") and size.isdigit())


def compared(runs: list[tuple[Run, Run]], records: int) -> dict[str, Any]:
    """Return the figures of pull and limit, and how many times longer the pull took (by the medians)."""
    pull, limit = (figures(list(side), records) for side in zip(*runs, strict=True))
    return {"records": records, "pull": pull, "limit": limit, "ratio": pull["seconds"]["median"] / limit["seconds"]["median"]}


def machine() -> dict[str, Any]:
    """Return what the figures depend on and do not say."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "django": django.__version__,
        "sqlite": sqlite3.sqlite_version,
    }


def table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    yield f"rounds {result['rounds']}; seconds are median (min–max) of whole commands, from start to end"
    for size in result["sizes"]:
        each, sent = size["record_bytes"] / size["records"], size["response_bytes"] / size["records"]
        yield f"\n{size['records']:,} records of {each:,.0f} bytes; {sent:,.0f} bytes each as the master sends them"
        yield f"{'':24}{'seconds':>22}{'records/s':>12}{'peak memory':>13}{'ratio':>8}"
        for case, found in size["cases"].items():
            yield row(f"pull {CASES[case]}", found["pull"]) + f"{found['ratio']:>7.1f}×"
            yield row("  the shortest pipe", found["limit"])


def row(name: str, side: dict[str, Any]) -> str:
    """Return one line of the table."""
    seconds = "{median:.2f} ({min:.2f}–{max:.2f})".format(**side["seconds"])
    rate = f"{side['records_per_second']:,.0f}" if side["records_per_second"] else "–"
    return f"{name:28}{seconds:>18}{rate:>12}{side['peak_memory_bytes']['median'] / 1e6:>10.0f} MB"


def main() -> None:
    """Measure each size and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000], metavar="N", help="how many records")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, pull and limit in turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    sizes, about = [], machine()
    for count in options.sizes:
        with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as folder:
            bench = Bench(Path(folder), count)
            with bench.serving():
                sizes.append(bench.measure(options.rounds))
    result = {"machine": about, "rounds": options.rounds, "sizes": sizes}
    print(json.dumps(result) if options.json else "\n".join(table(result)))


if __name__ == "__main__":
    main()

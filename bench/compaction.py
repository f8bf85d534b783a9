"""What does an overwritten version of a text cost an edge, before and after ``sync_compact``?

``python -m bench.compaction [--records 300] [--edits 20]``; see docs/performance.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from bench import replicas
from bench.frame import Bench, Measure, Options, Report, main
from bench.measure import run, wait_for
from deploy.local.processes import stop
from deploy.local.replica import Replica

LIVE, EDITED, COMPACTED = "database before the first edit", "with all versions", "after sync_compact"


def bytes_of(replica: Replica) -> int:
    """Return the bytes of the database of a replica."""
    with contextlib.closing(sqlite3.connect(replica.folder / "db.sqlite3")) as connection:
        return int(connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0])


def one_round(root: Path, records: int, edits: int, report: Report) -> None:
    """Let an edge write and edit, a master pull that, and the edge compact."""
    master, edge = replicas.make("MASTER01", "master", root / "master"), replicas.make("EDGE01", "edge", root / "edge", "bench")
    replicas.inside(master, "prepare", trust=[replicas.introduction(edge)])
    replicas.inside(edge, "prepare", trust=[replicas.introduction(master)])
    replicas.inside(edge, "edit", count=records, edits=0)
    live = bytes_of(edge)
    replicas.inside(edge, "edit", count=records, edits=edits)
    try:
        for replica in (master, edge):
            replica.start_web()
            wait_for(f"{replica.url}/readyz")
        edge.must("sync_pull", master.name)
        master.must("sync_pull", edge.name)
        compacted = run([sys.executable, "manage.py", "sync_compact", "--json"], edge.env)
    finally:
        stop([master.web, edge.web])
    found, versions = json.loads(compacted.stdout), records * edits
    if found["values_dropped"] != versions:
        raise RuntimeError(f"{found['values_dropped']} values of {versions} were dropped: {found}")
    case = f"{records:,} records, {versions:,} overwritten versions of {found['bytes_dropped'] / versions:.0f} bytes"
    report.take(case, LIVE, megabytes=live)
    for name, key in ((EDITED, "before"), (COMPACTED, "after")):
        size, segments = found[f"bytes_{key}"], found[f"segments_{key}"]
        report.take(case, name, megabytes=size, per_version=(size - live) / versions, segments=segments)
    report.take(case, "sync_compact", seconds=compacted.seconds, memory=compacted.memory)


def measure(options: Options, report: Report) -> None:
    """Run all rounds, each in a folder of its own."""
    for number in range(1, options.rounds + 1):
        report.say(f"round {number}")
        with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as folder:
            one_round(Path(folder), options.records, options.edits, report)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--edits", type=int, default=20, help="of each record (%(default)s)")


BENCH = Bench(
    __doc__,
    measure,
    {
        "megabytes": Measure("MB", ".2f", scale=1e-6),
        "per_version": Measure("bytes", ",.0f"),
        "segments": Measure("", ",.0f"),
        "seconds": Measure("s"),
        "memory": Measure("MB", ".0f", scale=1e-6),
    },
    arguments=arguments,
    quick={"records": 10, "edits": 5},
)

if __name__ == "__main__":
    main(BENCH)

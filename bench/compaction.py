"""What does an overwritten version of a text cost an edge, before and after ``sync_compact``?

``python -m bench.compaction [--records 300] [--edits 20] [--json]``; see docs/performance.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measure import free_port, run, wait_for
from deploy.local.installation import identify
from deploy.local.processes import stop
from deploy.local.replica import Replica

EDIT = "from bench.compaction import edit; edit({records}, {edits})"


def edit(count: int, edits: int) -> None:
    """Write ``count`` records in this replica, then another text into each, ``edits`` times; each write is a transaction."""
    from django.db import connection, transaction

    from bench.records import records
    from content.models import Section

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")  # making them is not measured
    held = list(Section.objects.order_by("ordering"))
    if not held:
        for record in records(count):
            with transaction.atomic():
                Section(title=record["title"], description=record["description"], ordering=record["ordering"]).save()
    for number in range(edits):
        for section, record in zip(held, records(count, seed=number + 2), strict=True):
            with transaction.atomic():
                section.description = record["description"]
                section.save()


def bytes_of(replica: Replica) -> int:
    """Return the bytes of the database of a replica."""
    with contextlib.closing(sqlite3.connect(replica.folder / "db.sqlite3")) as connection:
        return int(connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0])


def measure(root: Path, records: int, edits: int) -> dict[str, Any]:
    """Let an edge write and edit, a master pull that, and the edge compact; return the figures, in bytes."""
    master = Replica("MASTER01", "BENCH", "master", "", root / "master", free_port())
    edge = Replica("EDGE01", "BENCH", "edge", "bench", root / "edge", free_port())
    for replica in (master, edge):
        replica.must("migrate", "--verbosity", "0")
    master.trust(edge, str(identify(edge)))
    edge.trust(master, str(identify(master)))
    edge.must("shell", "-c", EDIT.format(records=records, edits=0))
    live = bytes_of(edge)
    edge.must("shell", "-c", EDIT.format(records=records, edits=edits))
    try:
        for replica in (master, edge):
            replica.start_web()
            wait_for(f"{replica.url}/readyz")
        edge.must("sync_pull", master.name)
        master.must("sync_pull", edge.name)
        compacted = run([sys.executable, "manage.py", "sync_compact", "--json"], edge.env)
    finally:
        stop([master.web, edge.web])
    report, versions = json.loads(compacted.stdout), records * edits
    if report["values_dropped"] != versions:
        raise RuntimeError(f"{report['values_dropped']} values of {versions} were dropped: {report}")
    return {
        "records": records,
        "versions": versions,
        "value_bytes": report["bytes_dropped"] / versions,
        "bytes": {"live": live, "edited": report["bytes_before"], "compacted": report["bytes_after"]},
        "per_version": {key: (report[f"bytes_{key}"] - live) / versions for key in ("before", "after")},
        "segments": [report["segments_before"], report["segments_after"]],
        "seconds": compacted.seconds,
        "peak_memory_bytes": compacted.memory,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--edits", type=int, default=20, help="of each record")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.records, options.edits)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['records']} records, {found['versions']} overwritten versions of {found['value_bytes']:.0f} bytes")
    for name, size in found["bytes"].items():
        print(f"  database, {name:10} {size:12,} bytes")
    before, after = found["per_version"]["before"], found["per_version"]["after"]
    print(f"  each overwritten version: {before:.0f} bytes before, {after:.0f} after")
    print(f"  segments of the log: {found['segments'][0]} before, {found['segments'][1]} after")
    print(f"  sync_compact took {found['seconds']:.1f} s and {found['peak_memory_bytes'] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()

"""The shortest pipe: the limit that a pull is compared with. The same records, no signatures, no registers, no history.

``gunicorn bench.pipe:app`` streams them as lines of JSON; ``python -m bench.pipe URL DATABASE`` upserts as many as each line on
standard input says, in one transaction, into a plain table that is as durable as the databases of replicas are.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

TABLE = "CREATE TABLE IF NOT EXISTS record (token TEXT UNIQUE, slug TEXT, title TEXT, description TEXT, ordering INTEGER)"
UPSERT = """INSERT INTO record VALUES (:token, :slug, :title, :description, :ordering) ON CONFLICT (token) DO UPDATE
SET slug = excluded.slug, title = excluded.title, description = excluded.description, ordering = excluded.ordering"""
TOGETHER = 100  # lines in one write to the socket


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer ``/COUNT`` with that many records of the file ``BENCH_RECORDS``."""
    start_response("200 OK", [("Content-Type", "application/x-ndjson")])
    with Path(os.environ["BENCH_RECORDS"]).open("rb") as file:
        lines = islice(file, int(environ["PATH_INFO"].strip("/") or 0))
        while part := list(islice(lines, TOGETHER)):
            yield b"".join(part)


def read(url: str, database: str) -> None:
    """Fetch the records and upsert them."""
    connection = sqlite3.connect(database, isolation_level="DEFERRED")
    connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {TABLE};")
    with urllib.request.urlopen(url) as response, connection:
        connection.executemany(UPSERT, map(orjson.loads, response))
    connection.close()


def receive(url: str, database: str) -> None:
    """Say that this process is ready; then read as many records as each line says, and say how long it took."""
    read(f"{url}/0", database)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        read(f"{url}/{int(line)}", database)
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    receive(*sys.argv[1:])

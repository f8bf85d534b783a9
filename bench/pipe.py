"""The shortest pipe: the limit that a pull is compared with. The same records, no signatures, no registers, no history.

``gunicorn bench.pipe:app`` streams them as lines of JSON; ``python -m bench.pipe URL DATABASE`` upserts them in one
transaction into a plain table, as durable as the databases of replicas are.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.records import lines

TABLE = "CREATE TABLE IF NOT EXISTS record (token TEXT UNIQUE, slug TEXT, title TEXT, description TEXT, ordering INTEGER)"
UPSERT = """INSERT INTO record VALUES (:token, :slug, :title, :description, :ordering) ON CONFLICT (token) DO UPDATE
SET slug = excluded.slug, title = excluded.title, description = excluded.description, ordering = excluded.ordering"""


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer ``/COUNT`` with that many records of the file ``BENCH_RECORDS``."""
    start_response("200 OK", [("Content-Type", "application/x-ndjson")])
    return lines(Path(os.environ["BENCH_RECORDS"]), int(environ["PATH_INFO"].strip("/") or 0))


def read(url: str, database: str) -> None:
    """Fetch the records and upsert them."""
    connection = sqlite3.connect(database)
    connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {TABLE};")
    with urllib.request.urlopen(url) as response, connection:
        connection.executemany(UPSERT, map(json.loads, response))
    connection.close()


if __name__ == "__main__":
    read(*sys.argv[1:])

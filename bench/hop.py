"""The least that brings a record to another process for good: a request and an insert, as durable as the databases of replicas are."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import Any

_held = threading.local()


def _database() -> sqlite3.Connection:
    if not hasattr(_held, "database"):
        _held.database = sqlite3.connect(os.environ["BENCH_DATABASE"])
        _held.database.executescript(
            "PRAGMA busy_timeout=20000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS record (body BLOB)"
        )
    return _held.database  # type: ignore[no-any-return]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Store the body of the request and answer."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    with _database() as database:
        database.execute("INSERT INTO record VALUES (?)", [body])
    start_response("204 No Content", [])
    return []

"""From ``DATABASE_URL`` to Django's ``DATABASES``: SQLite tuned for durability, PostgreSQL with a pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# page_size counts only on a new file and before journal_mode (auto_vacuum does too, but would write to the file at each opening:
# see sync/db/sqlite3/base.py); FULL makes a commit durable when it is acknowledged;
# a checkpoint every 4,000 pages instead of 1,000 saves a third of the time of a large pull.
PRAGMAS = (
    "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
    "PRAGMA busy_timeout=20000; "
    "PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=4000"
)

# Connections of one process. ``timeout``: seconds to wait for a free one; as many as requests at once, so nobody does for long.
# ``reconnect_timeout``: after so many seconds without a server the pool gives up, and tries anew when somebody asks: it would
# wait longer and longer between its own tries, and find a server that is back only minutes later.
POOL = {"min_size": 1, "max_size": 8, "timeout": 5, "reconnect_timeout": 3}


def sqlite(path: Path) -> dict[str, Any]:
    """Return the settings of an SQLite database at ``path``."""
    return {
        "ENGINE": "sync.db.sqlite3",
        "NAME": str(path),
        # A thread keeps its connection: to open it, read what tables there are and sync the folder takes more than many an answer.
        "CONN_MAX_AGE": None,
        # IMMEDIATE: a transaction takes the write lock when it begins, so that it never fails half way for want of it.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": PRAGMAS},
    }


def postgresql(url: str) -> dict[str, Any]:
    """Return the settings of a PostgreSQL database; a host may be given as ``?host=/path/to/socket``."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "sync.db.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # a connection from before a restart of the server is replaced, not handed out
        "OPTIONS": {"pool": POOL, "connect_timeout": 5, **query},
    }


def databases(url: str, data: Path) -> dict[str, Any]:
    """Return Django's ``DATABASES`` for ``url``; SQLite in ``data`` when it is empty."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgres", "postgresql"):
        return {"default": postgresql(url)}
    return {"default": sqlite(Path(urlsplit(url).path) if scheme == "sqlite" else data / "db.sqlite3")}

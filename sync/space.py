"""How much room the database takes, and giving back what it no longer needs."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from sync.db import sql

STEP = 2000  # pages that one transaction gives back
INCREMENTAL = 2  # SQLite's name for pages being given back on demand


def used() -> int:
    """Return the bytes of the database: of SQLite's file, or of all tables and indexes of this PostgreSQL database."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
        return _pragma("page_count") * _pragma("page_size")


def give_back() -> None:
    """Give free pages back to the file system, some at a time, so that writers wait a moment only.

    PostgreSQL uses them again by itself. An SQLite database that was made before pages could be given back one by one keeps
    them for what is written next, until VACUUM has rewritten its file.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block or _pragma("auto_vacuum") != INCREMENTAL:
        return
    left = _pragma("freelist_count")
    while left:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA incremental_vacuum({STEP})").fetchall()
        before, left = left, _pragma("freelist_count")
        if left >= before:
            break
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def sizes(table: str, column: str, numbers: Collection[int]) -> dict[int, int]:
    """Return the bytes of a column of the rows ``numbers``, by number."""
    quote = connection.ops.quote_name
    found: dict[int, int] = {}
    every = list(numbers)
    with connection.cursor() as cursor:
        for start in range(0, len(every), sql.CHUNK):
            part = every[start : start + sql.CHUNK]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(f"SELECT id, LENGTH({quote(column)}) FROM {quote(table)} WHERE id IN ({marks})", part)  # noqa: S608
            found.update(cursor.fetchall())
    return found


def _pragma(name: str) -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute(f"PRAGMA {name}").fetchone()[0])

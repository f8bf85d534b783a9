"""A few statements that Django's ORM does not offer, or not fast enough, in the words of both databases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

CHUNK = 500


@contextmanager
def without_waiting_for_the_disk(is_wanted: bool = True) -> Iterator[None]:
    """Let SQLite commit without a sync: a loss of power may take back what is written within, the end of a process does not.

    The next commit that waits syncs this too, and nothing is damaged. For notes that nobody has been told of. Within a transaction,
    and where it is not wanted, nothing is changed.
    """
    if not is_wanted or connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous = FULL")


def booleans() -> tuple[Any, Any]:
    """Return false and true as the driver takes them quickest: sqlite3 looks for an adapter of each ``bool``."""
    return (0, 1) if connection.vendor == "sqlite" else (False, True)


def _sizes(values: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut ``values`` into chunks, each filled up to a power of two by repeating its last, so that few statement texts occur."""
    for start in range(0, len(values), CHUNK):
        chunk = list(values[start : start + CHUNK])
        size = 1 << (len(chunk) - 1).bit_length()
        yield chunk + [chunk[-1]] * (size - len(chunk))


def select_in(table: str, columns: Sequence[str], column: str, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield ``columns`` of the rows of ``table`` whose ``column`` is one of ``values``."""
    quote = connection.ops.quote_name
    wanted = ", ".join(quote(name) for name in columns)
    with connection.cursor() as cursor:
        for chunk in _sizes(list(values)):
            marks = ", ".join(["%s"] * len(chunk))
            cursor.execute(f"SELECT {wanted} FROM {quote(table)} WHERE {quote(column)} IN ({marks})", chunk)  # noqa: S608
            yield from cursor.fetchall()


def exists(table: str, condition: str) -> bool:
    """Say whether ``table`` has a row of ``condition``, which stands in the statement as it is: so a partial index is taken."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} WHERE {condition} LIMIT 1")  # noqa: S608
        return cursor.fetchone() is not None


def upsert(table: str, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], keep: Sequence[str] = ()) -> None:
    """Insert ``rows`` of (key, *columns), or set ``columns`` but for ``keep`` where the key is there. Deletes nothing."""
    if not rows:
        return
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in (key, *columns))
    marks = ", ".join(["%s"] * (len(columns) + 1))
    sets = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in columns if name not in keep)
    action = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {quote(table)} ({names}) VALUES ({marks}) ON CONFLICT ({quote(key)}) {action}",  # noqa: S608
            rows,
        )


def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert ``rows``, in order."""
    if not rows:
        return
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in columns)
    marks = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {quote(table)} ({names}) VALUES ({marks})", rows)  # noqa: S608


def update(table: str, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Set ``columns`` of existing rows; each of ``rows`` is (*values, key)."""
    if not rows or not columns:
        return
    quote = connection.ops.quote_name
    sets = ", ".join(f"{quote(name)} = %s" for name in columns)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {quote(table)} SET {sets} WHERE {quote(key)} = %s", rows)  # noqa: S608


def set_all(table: str, values: Mapping[str, Any]) -> None:
    """Set columns of all rows."""
    quote = connection.ops.quote_name
    sets = ", ".join(f"{quote(name)} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {quote(table)} SET {sets}", list(values.values()))  # noqa: S608


def delete_in(table: str, column: str, values: Iterable[Any]) -> None:
    """Delete the rows of ``table`` whose ``column`` is one of ``values``; nothing cascades."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for chunk in _sizes(list(values)):
            marks = ", ".join(["%s"] * len(chunk))
            cursor.execute(f"DELETE FROM {quote(table)} WHERE {quote(column)} IN ({marks})", chunk)  # noqa: S608

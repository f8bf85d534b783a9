"""Very many rows into SQLite: more pages in memory, and checkpoints, which copy what was committed from its log to its file, beside.

A checkpoint within a commit lets whoever waits for the turn to write wait for it too, though it needs no lock of his. It is one call
that needs nothing of Python, so in a thread it costs the one who reads on meanwhile nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from django.db import DatabaseError, connection

CACHE = 8 << 10  # KiB that SQLite may keep in memory while many rows are written at random places; by itself 2,000


@contextmanager
def many_rows() -> Iterator[None]:
    """Prepare SQLite for many rows: it keeps more pages in memory, and no commit makes a checkpoint. Use ``Checkpoints`` meanwhile."""
    if connection.vendor != "sqlite":
        yield
        return
    wanted = {"cache_size": -CACHE, "wal_autocheckpoint": 0}
    with connection.cursor() as cursor:
        before = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
        for name, value in wanted.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        try:
            yield
        finally:
            with suppress(DatabaseError):  # where the connection is lost, that error is the one to be told of
                for name, value in before.items():
                    cursor.execute(f"PRAGMA {name} = {value}")


class Checkpoints:
    """Checkpoints one after the other, each in a thread; with a database that is no SQLite file none."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._threads.shutdown()
        if error is None:
            self.wait()

    def begin(self) -> None:
        """Begin one, between transactions."""
        if connection.vendor != "sqlite" or connection.is_in_memory_db() or connection.in_atomic_block:  # type: ignore[attr-defined]
            return
        self._last = self._threads.submit(_copy, str(connection.settings_dict["NAME"]))

    def wait(self) -> None:
        """Wait for the last one, before more is committed: or the log would never be copied as a whole, and grow without end.

        Raises what a full disk does to any statement.
        """
        if self._last is not None:
            last, self._last = self._last, None
            with connection.wrap_database_errors:
                last.result()


def _copy(name: str) -> None:
    address = f"{Path(name).absolute().as_uri()}?mode=rw"  # where the file is gone, none is made
    with closing(sqlite3.connect(address, uri=True)) as opened:
        opened.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

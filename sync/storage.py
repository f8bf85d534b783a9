"""What a full disk, a read-only file or a database out of reach say, in the words of ``sync.core.errors``.

One place knows them, for commands, sweeps, both APIs and the editor alike: sqlite3, psycopg and the operating system each have
words of their own, and Django passes them on.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from django.db import InterfaceError, OperationalError

from sync.core.errors import DatabaseUnavailableError, NotWritableError, SyncError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
POSTGRESQL = {"53100", "53200", "25006"}  # disk full, out of memory, read-only transaction
MAKE_ROOM = "nothing was stored; make room, and writing goes on by itself"
TRY_AGAIN = "nothing was stored; another writer holds it, try again"


def as_sync_error(error: BaseException) -> SyncError | None:
    """Return ``error`` where it is a SyncError, else what ``trouble`` says."""
    return error if isinstance(error, SyncError) else trouble(error)


def trouble(error: BaseException) -> NotWritableError | DatabaseUnavailableError | None:
    """Return what ``error`` says about the storage of this replica; None where it is about something else."""
    for cause in _causes(error):
        if isinstance(cause, NotWritableError | DatabaseUnavailableError):
            return cause
        if reason := _why_unwritable(cause):
            return NotWritableError(reason)
        if isinstance(cause, OperationalError | InterfaceError) and _is_about_the_connection(cause):
            return DatabaseUnavailableError(f"the database does not answer: {_line(cause)}; see to it that it runs")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _why_unwritable(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" ({error.filename})" if error.filename else ""
        return f"the disk of this replica takes no files{where}: {error.strerror}; {MAKE_ROOM}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in SQLITE or getattr(error, "sqlstate", None) in POSTGRESQL:
        return f"the database of this replica takes no writes: {_line(error)}; {MAKE_ROOM}"
    return f"the database of this replica is busy: {_line(error)}; {TRY_AGAIN}" if code in BUSY else ""


def _is_about_the_connection(error: BaseException) -> bool:
    """Say whether psycopg found no server, or lost it. Class 08 and 57P: the connection ended, the server stops or starts."""
    cause = error.__cause__
    if cause is None or type(cause).__module__.partition(".")[0] not in ("psycopg", "psycopg_pool"):
        return False
    state = getattr(cause, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "53300"))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""Copying an SQLite database that is written to, and putting a copy in its place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from django.db import connection

from sync.backup.archive import sync_folder
from sync.core.errors import NeedsOperatorError

COPY = "a copy"  # as the place of a database: it is nowhere, so whoever writes to it next takes a new incarnation


def path() -> Path:
    """Where the database of this replica stands."""
    return Path(str(connection.settings_dict["NAME"]))


def copy_to(target: Path) -> None:
    """Write a consistent copy to ``target``, as one file. Readers and writers go on meanwhile."""
    try:
        with closing(sqlite3.connect(path(), timeout=20)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)  # in one step: in several, each write of another would begin it anew
            copy.execute("PRAGMA journal_mode=DELETE")
            with copy:
                copy.execute("UPDATE sync_local SET place = ?", [COPY])
    except sqlite3.Error as error:
        raise NeedsOperatorError(f"the database cannot be copied: {error}") from None


def check(file: Path) -> None:
    """Raise NeedsOperatorError where ``file`` is no sound database."""
    with closing(sqlite3.connect(file)) as copy:
        try:
            found = [row[0] for row in copy.execute("PRAGMA quick_check(1)")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
    if found != ["ok"]:
        raise NeedsOperatorError(f"the database in the backup is damaged: {found[0]}")


def is_used(tables: list[str]) -> bool:
    """Say whether the database of this replica has rows in any of ``tables``; one that cannot be read counts as used."""
    if not path().exists() or not path().stat().st_size:
        return False
    with closing(sqlite3.connect(path(), timeout=20)) as database:
        try:
            there = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return any(database.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() for table in tables if table in there)  # noqa: S608
        except sqlite3.DatabaseError:
            return True


def replace(copy: Path, aside: Path | None) -> None:
    """Put ``copy`` in the place of the database, in one step; keep what was there in the folder ``aside``, if given.

    Raises NeedsOperatorError where somebody has the database open.
    """
    target = path()
    if target.exists():
        _fold_in_log(target)
    if aside is not None and target.exists():
        _keep(target, aside / target.name)
        sync_folder(aside)
    staged = _staged()
    staged.unlink(missing_ok=True)
    _keep(copy, staged)
    for suffix in ("-wal", "-shm"):  # of a database that could not be read; a new one must not find them
        left = target.with_name(target.name + suffix)
        if left.exists() and aside is not None:
            left.rename(aside / left.name)
        left.unlink(missing_ok=True)
    staged.replace(target)
    sync_folder(target.parent)


def _staged() -> Path:
    """Where a restored database stands, on the same disk, until it takes the place of the former one."""
    return path().with_name(f".{path().name}.restored")


def forget_staged(asides: Iterable[Path]) -> list[Path]:
    """Remove what a killed ``replace`` left: the copy beside the database, and second names that this has in the folders ``asides``."""
    target = path()
    names = [aside / target.name for aside in asides] if target.exists() else []
    found = [name for name in names if name.exists() and name.samefile(target)]
    found += [_staged()] if _staged().exists() else []
    for name in found:
        name.unlink(missing_ok=True)
    return found


def _fold_in_log(target: Path) -> None:
    """Bring what stands in the write-ahead log into the file, so that this is all there is of the database."""
    try:
        with closing(sqlite3.connect(target, timeout=5, isolation_level=None)) as database:
            mode = database.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise NeedsOperatorError(f"somebody uses {target} ({error}); stop it first") from None
    except sqlite3.DatabaseError:
        return  # no database any more: it is kept as it is
    if mode != "delete":
        raise NeedsOperatorError(f"somebody uses {target}; stop it first")


def _keep(source: Path, target: Path) -> None:
    """Let ``source`` stand at ``target`` too: as a second name, or as a copy on another disk."""
    try:
        os.link(source, target)
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(1 << 20):
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())

"""Making a backup while the replica runs: first the database as of one moment, then the media that it names, and the keys."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from sync import conf, keys, local, registers
from sync.backup import archive, postgresql, sqlite
from sync.backup.archive import Progress, Writer


def make(target: Path, progress: Progress) -> dict[str, Any]:
    """Write a backup of this replica to ``target`` and return the report. Raises NeedsOperatorError.

    Media come after the database. They never change and none is taken away, so whatever a row of the copy names is in it.
    """
    start, target = time.monotonic(), target.absolute()
    with archive.writing(target, progress) as writer:
        about = {**_about(), **_database(writer)}
        damaged = _media(writer)
        count = sum(name.startswith("media/") for name in writer.members)
        for name in ("keys/ed25519.key", "secret.key"):
            if (conf.data() / name).exists():
                writer.add(name, conf.data() / name)
        writer.finish(about)
    return {
        "path": str(target),
        "bytes": target.stat().st_size,
        "replica": about["replica"],
        "origin": about["origin"],
        "database": about["database"],
        "media": count,
        "damaged": damaged,
        "seconds": round(time.monotonic() - start, 3),
    }


def _about() -> dict[str, Any]:
    keys.ensure()
    return {
        "replica": conf.name(),
        "origin": f"{conf.name()}.{local.state().incarnation}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": connection.vendor,
        "digest": registers.digest(),
        "migrations": sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()),
    }


def _database(writer: Writer) -> dict[str, Any]:
    """Add the database. It is copied beside the backup first, on the disk where there is room for that."""
    with tempfile.TemporaryDirectory(dir=writer.place) as name:
        place = Path(name)
        if connection.vendor == "sqlite":
            sqlite.copy_to(place / "database.sqlite3")
            writer.add("database.sqlite3", place / "database.sqlite3")
            return {}
        tables = postgresql.copy_to(place / "database")
        for table in tables:
            writer.add(f"database/{table}.copy", place / "database" / f"{table}.copy")
        return {"tables": tables}


def _media(writer: Writer) -> list[str]:
    """Add all blobs; return the digests of those that are not what their name says, which the manifest leaves out."""
    damaged = []
    for file in _blobs():
        name = f"media/{file.parent.name}/{file.name}"
        if writer.add(name, file, 0o644) != file.name:
            damaged.append(file.name)
            del writer.members[name]
    return damaged


def _blobs() -> Iterator[Path]:
    for folder in sorted((conf.data() / "media").glob("[0-9a-f][0-9a-f]")):
        yield from sorted(file for file in folder.iterdir() if len(file.name) == 64 and file.is_file())

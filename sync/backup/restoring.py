"""Putting a backup back: everything is unpacked and checked beside what is there, which is replaced in one step at the end.

Killed before that step, the replica is as it was. Only where the backup brings another key than the one in place there are two
steps; killed between them, nothing starts until the restore was run again. What was there is kept aside. The restored replica
goes on under a new incarnation, always: it cannot know what it wrote after the copy was made.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader

from sync import blobs, conf, incarnation, keys, lease, local, signals
from sync.backup import archive, postgresql, sqlite
from sync.backup.archive import Manifest, Progress
from sync.core.errors import NeedsOperatorError
from sync.models import Entry

PREFIX, ASIDE = "restore-", "before-restore-"
KEYS = ("keys/ed25519.key", "secret.key")


def restore(source: Path, force: bool, progress: Progress) -> dict[str, Any]:
    """Put back the backup ``source`` and return the report. ``force``: also where this replica has content, which is kept aside.

    Raises NeedsOperatorError, and then has changed nothing.
    """
    start = time.monotonic()
    try:
        with lease.alone(conf.data()):
            forget_attempts()
            with tempfile.TemporaryDirectory(dir=conf.data(), prefix=PREFIX) as name:
                report = _restore(source.absolute(), Path(name), force, progress)
    except OSError as error:
        raise NeedsOperatorError(
            f"{source} cannot be restored: {error.strerror or error}; this replica is as it was"
        ) from error
    return {**report, "seconds": round(time.monotonic() - start, 3)}


def forget_attempts() -> list[Path]:
    """Remove what killed restores had unpacked, and what they had put aside of that which is in its place still; return that.

    Call it where no restore is going on: who holds the lease knows.
    """
    unpacked, asides = list(conf.data().glob(f"{PREFIX}*")), list(conf.data().glob(f"{ASIDE}*"))
    for folder in unpacked:
        shutil.rmtree(folder, ignore_errors=True)  # another program may be at it too
    staged = sqlite.forget_staged(asides) if connection.vendor == "sqlite" else []
    for folder in asides:
        with contextlib.suppress(OSError):
            folder.rmdir()  # where it is empty
    return unpacked + staged


def _restore(source: Path, folder: Path, force: bool, progress: Progress) -> dict[str, Any]:
    if not source.is_file():
        raise NeedsOperatorError(f"there is no backup at {source}")
    manifest = archive.unpack(source, folder, progress)
    is_used = _check(source, manifest, folder, force)
    _add_media(manifest, folder)
    aside = _aside(folder, is_used)
    signals.replacing.send(sender=None)
    kept = _replace(source, manifest, folder, aside, is_used)
    connections.close_all()
    keys.forget()
    is_behind = manifest["migrations"] != _migrations_here()
    return {
        "path": str(source),
        "replica": conf.name(),
        "made": manifest["made"],
        "before": manifest["origin"],
        "origin": "" if is_behind else _renew(),
        "media": sum(name.startswith("media/") for name in manifest["members"]),
        "aside": kept or (str(aside) if aside else ""),
        "migrate": is_behind,
    }


def _check(source: Path, manifest: Manifest, folder: Path, force: bool) -> bool:
    """Raise NeedsOperatorError where the backup does not belong here; return whether this replica has content of its own."""
    if manifest["replica"] != conf.name():
        raise NeedsOperatorError(f"{source} is a backup of {manifest['replica']}; this is {conf.name()}")
    if manifest["database"] != connection.vendor:
        raise NeedsOperatorError(f"{source} is of a database of {manifest['database']}; this one is of {connection.vendor}")
    unknown = set(manifest["migrations"]) - set(_migrations_here())
    if unknown:
        raise NeedsOperatorError(f"{source} was made by a newer release (it has {min(unknown)}); install that one first")
    tables = [Entry._meta.db_table, get_user_model()._meta.db_table]
    if connection.vendor == "sqlite":
        sqlite.check(folder / "database.sqlite3")
        is_used = sqlite.is_used(tables)
    else:
        is_used = postgresql.is_used(tables)
    if is_used and not force:
        raise NeedsOperatorError(f"{conf.name()} has content of its own; with --force it is kept aside and replaced")
    return is_used


def _migrations_here() -> list[str]:
    """Return the migrations that this release brings."""
    return sorted(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations)


def _add_media(manifest: Manifest, folder: Path) -> None:
    """Add the blobs that are not here. None is replaced or taken away: each is what its name says."""
    for name in manifest["members"]:
        digest = name.rpartition("/")[2]
        if name.startswith("media/") and not blobs.has(digest):
            blobs.install(folder / name, digest)


def _aside(folder: Path, is_used: bool) -> Path | None:
    """Make the folder in which what was there is kept; None where nothing has to be."""
    if not (is_used and connection.vendor == "sqlite") and not _is_other_key(folder):
        return None
    aside = conf.data() / f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    aside.mkdir(mode=0o700)
    return aside


def _is_other_key(folder: Path) -> bool:
    fresh = folder / "keys" / "ed25519.key"
    return fresh.exists() and keys.path().exists() and fresh.read_bytes() != keys.path().read_bytes()


def _replace(source: Path, manifest: Manifest, folder: Path, aside: Path | None, is_used: bool) -> str:
    """Replace keys and database; return where on a server the former one is kept, if it was used.

    A key that does not belong to the database would be refused by all peers; so nothing may start before both are there.
    """
    if _is_other_key(folder):
        lease.close(conf.data(), source)
    try:
        _replace_keys(folder, aside)
        kept = _replace_database(manifest, folder, aside, is_used)
    except Exception:
        _put_keys_back(aside)
        lease.reopen(conf.data())
        raise
    lease.reopen(conf.data())
    return kept


def _put_keys_back(aside: Path | None) -> None:
    for name in KEYS:
        if aside is not None and (aside / Path(name).name).exists():
            (aside / Path(name).name).replace(conf.data() / name)


def _replace_keys(folder: Path, aside: Path | None) -> None:
    """Put the keys back, before the database: a replica with its key and an empty database is harmless, the other way round not."""
    for name in KEYS:
        fresh, target = folder / name, conf.data() / name
        if not fresh.exists() or (target.exists() and target.read_bytes() == fresh.read_bytes()):
            continue
        if target.exists() and aside is not None:
            shutil.copy2(target, aside / target.name)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        fresh.replace(target)
        archive.sync_folder(target.parent)


def _replace_database(manifest: Manifest, folder: Path, aside: Path | None, is_used: bool) -> str:
    """Replace the database; return where on a server the former one is kept, if it was used."""
    if connection.vendor != "sqlite":
        schema = postgresql.replace(folder / "database", manifest["tables"], is_kept=is_used)
        return f"schema {schema}" if schema else ""
    connections.close_all()
    sqlite.replace(folder / "database.sqlite3", aside if is_used else None)
    return ""


def _renew() -> str:
    """Take the new incarnation at once, and return it. (The copy says itself that it is one: the next write would do it too.)"""
    with transaction.atomic():
        local.take_turn()
        own = incarnation.renew("it was restored from a backup")
    return f"{conf.name()}.{own.incarnation}"

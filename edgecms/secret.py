"""The secret key that a replica makes for itself when none is given."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def own_secret_key(data: Path) -> str:
    """Return the key kept in ``data/secret.key``, made at first use and readable by its owner only.

    Two processes that start together agree: the one that creates the file wins, the other reads it.
    Raises OSError where the folder takes no files; nothing is left behind.
    """
    path = data / "secret.key"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"secret.key.{os.getpid()}")
        try:
            _write(fresh)
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    return path.read_text().strip()


def _write(fresh: Path) -> None:
    """Write a key to the end, onto the disk: one that is cut off would never be made anew."""
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
        file.flush()
        os.fsync(file.fileno())

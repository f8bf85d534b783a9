"""A backup in the making: a hidden folder beside its target, and what becomes of one whose process was killed.

It may be anywhere, also on a share of the network whose locks other machines do not see. So it is nobody's any more only where its
lock is free and nothing in it has changed for an hour.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FILE = "backup"
NAME = re.compile(r"\..+\.[0-9a-f]{8}\.partial")
QUIET = 3600.0  # seconds


@contextmanager
def beginning(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield the file that is to become ``target``, locked, and the folder that it stands in. The folder is gone afterwards."""
    place = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        place.mkdir(mode=0o700)
        with os.fdopen(os.open(place / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with contextlib.suppress(OSError):  # a file system without locks: on it nothing is ever cleared
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file, place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def forget(folder: Path) -> None:
    """Remove from ``folder`` what backups that were killed had begun."""
    for place in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            if NAME.fullmatch(place.name) and place.is_dir() and _is_abandoned(place):
                shutil.rmtree(place, ignore_errors=True)


def _is_abandoned(place: Path) -> bool:
    if time.time() - max(path.stat().st_mtime for path in [place, *place.rglob("*")]) < QUIET:
        return False
    try:
        with (place / FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass  # killed before it had made it
    except OSError:
        return False
    return True

"""Which changesets were at hand when a process that applied them ended without a word: killed, out of memory, crashed.

While changesets are applied, a file under ``EDGECMS_DATA/applying`` names them, locked by the process that applies them. A file
that nobody locks any more was left by a crash. Of many that were at hand nobody knows which it was: next time they are applied
one by one, each with a file of its own. Whatever was alone at hand in two crashes is quarantined. It is tried twice more, at the
next sweeps, since somebody may just have killed the process at that moment; then only when an operator says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sync import conf
from sync.core.changeset import DOT_BYTES

CRASHES = 2  # alone at hand, after which a changeset is quarantined
LAST = 4  # after which it is not tried again at each sweep either: somebody who kills processes does not hit it four times
TALLY = "suspects.json"


def folder() -> Path:
    """Return where the files stand."""
    return conf.data() / "applying"


@contextlib.contextmanager
def at_hand(dots: Sequence[bytes]) -> Iterator[None]:
    """Name ``dots`` as what is applied within. Where there is no room for the file, nothing is named: the rest says so itself."""
    file, path = _open()
    try:
        if file is not None:
            with contextlib.suppress(OSError):
                file.write(b"".join(dots))
                file.flush()  # to the system: a process that ends takes nothing of it along
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.close()


def _open() -> tuple[BinaryIO | None, Path]:
    path = folder() / f"{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        file = path.open("xb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return None, path
    return file, path


def crashes() -> dict[bytes, int]:
    """Return the changesets under suspicion: in how many crashes each was alone at hand. Gathers what crashes have left."""
    try:
        names = [entry.name for entry in os.scandir(folder())]
    except OSError:
        return {}
    if not names:
        return {}
    with _locked():
        found = _read()
        left = [dots for name in names if "-" in name and (dots := _left(folder() / name)) is not None]
        for dots in left:
            for dot in dots:
                found[dot] = found.get(dot, 0) + int(len(dots) == 1)
        if left:
            _write(found)
    return found


def clear(dots: Iterable[bytes]) -> None:
    """Take ``dots`` off the list: they were applied, or are not to be tried again."""
    with _locked():
        found = _read()
        kept = {dot: count for dot, count in found.items() if dot not in set(dots)}
        if kept != found:
            _write(kept)


def _left(path: Path) -> list[bytes] | None:
    """Take away the file of a process that has ended, and return what it had at hand; None where it goes on."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = file.read()
            path.unlink(missing_ok=True)
    except OSError:
        return None
    return [content[start : start + DOT_BYTES] for start in range(0, len(content) - DOT_BYTES + 1, DOT_BYTES)]


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    descriptor = os.open(folder() / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read() -> dict[bytes, int]:
    try:
        return {bytes.fromhex(dot): int(count) for dot, count in json.loads((folder() / TALLY).read_text()).items()}
    except (OSError, ValueError):
        return {}


def _write(found: dict[bytes, int]) -> None:
    with contextlib.suppress(OSError):
        if not found:
            (folder() / TALLY).unlink(missing_ok=True)
            return
        fresh = folder() / "suspects.new"
        fresh.write_text(json.dumps({dot.hex(): count for dot, count in found.items()}))
        fresh.replace(folder() / TALLY)

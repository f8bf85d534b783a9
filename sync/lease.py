"""The lease on a data folder: programs that run on it share it, ``restore`` takes it alone.

It is a lock of the operating system on the file ``lease`` and ends with the last process that holds it, however that ends. The
workers of gunicorn have it from the process that forked them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync.core.errors import NeedsOperatorError

UNFINISHED = "restore.unfinished"  # stands in the folder while what is in it does not belong together
_kept: list[int] = []  # descriptors that are held to the end of this process


class BusyError(NeedsOperatorError):
    """Somebody holds the lease in a way that excludes ours."""


def _take(folder: Path, kind: int, trouble: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lease", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise BusyError(trouble) from None
    return descriptor


def _share(folder: Path) -> int:
    descriptor = _take(folder, fcntl.LOCK_SH, f"{folder} is being restored; start again when that has ended")
    if (folder / UNFINISHED).exists():
        os.close(descriptor)
        raise BusyError(
            f"a restore of {folder} was ended before it was done, and the key of this replica does not belong to its database; "
            f"run it again: manage.py restore {(folder / UNFINISHED).read_text()} --force"
        )
    return descriptor


def close(folder: Path, source: Path) -> None:
    """Let nobody share the lease of ``folder``, now or after this process was killed, until ``source`` is restored there."""
    with (folder / UNFINISHED).open("w") as file:
        file.write(str(source))
        file.flush()
        os.fsync(file.fileno())


def reopen(folder: Path) -> None:
    """Let the lease be shared again."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def keep(folder: Path) -> None:
    """Share the lease of ``folder`` to the end of this process and of those that it forks.

    Raises BusyError during a restore, or after half of one.
    """
    _kept.append(_share(folder))


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Share the lease of ``folder`` within the block. Raises BusyError during a restore, or after half of one."""
    descriptor = _share(folder)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lease of ``folder`` alone within the block. Raises BusyError while any program runs on it."""
    trouble = f"a web server, sync_worker or command runs on {folder}; stop it first"
    descriptor = _take(folder, fcntl.LOCK_EX, trouble)
    try:
        yield
    finally:
        os.close(descriptor)

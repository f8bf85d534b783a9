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

_kept: list[int] = []  # descriptors that are held to the end of this process


class BusyError(RuntimeError):
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
    return _take(folder, fcntl.LOCK_SH, f"{folder} is being restored; start again when that has ended")


def keep(folder: Path) -> None:
    """Share the lease of ``folder`` to the end of this process and of those that it forks. Raises BusyError during a restore."""
    _kept.append(_share(folder))


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Share the lease of ``folder`` within the block. Raises BusyError during a restore."""
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

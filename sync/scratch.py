"""Files in the making: locked by whoever writes them, so that those of a killed process are told from those of one that lives.

The lock is one of the operating system, and ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def making(folder: Path, prefix: str) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a new file in ``folder`` and its path. It is gone when the block is left, unless it was moved until then."""
    file, path = _locked(folder, prefix)
    try:
        with file:
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def _locked(folder: Path, prefix: str) -> tuple[BinaryIO, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=prefix)
        file, path = os.fdopen(descriptor, "w+b"), Path(name)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():  # or somebody has cleared it, who saw it before it was locked
            return file, path
        file.close()


def clear(path: Path) -> bool:
    """Remove the file at ``path`` unless somebody has it locked; say whether it is gone."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False

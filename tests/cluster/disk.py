"""A small disk of its own for a folder, that can be filled to the last byte and given room again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import pytest


class Disk:
    """A tmpfs of ``size`` bytes at ``folder``. Skips the test where nothing can be mounted, and fails it with CI=true."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self._ballast = folder / "ballast"

    def __enter__(self) -> Disk:
        self.folder.mkdir(parents=True, exist_ok=True)
        done = _as_root("mount", "-t", "tmpfs", "-o", f"size={self.size},uid={os.getuid()}", "tmpfs", str(self.folder))
        if done.returncode:
            reason = f"nothing can be mounted here: {done.stderr.strip()}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI=true asks for it")
            pytest.skip(reason)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _as_root("umount", "-l", str(self.folder))

    def fill(self, leave: int = 0) -> None:
        """Leave just ``leave`` bytes free."""
        with self._ballast.open("ab", buffering=0) as file:
            free = shutil.disk_usage(self.folder).free
            if leave:
                os.posix_fallocate(file.fileno(), 0, free - leave)
                return
            size = 1 << 20
            while size:
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
                size //= 16

    def make_room(self) -> None:
        """Give back what ``fill`` took."""
        self._ballast.unlink()


def _as_root(*command: str) -> subprocess.CompletedProcess[str]:
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    try:
        return subprocess.run([*sudo, *command], capture_output=True, text=True)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))

"""Child processes that leave nothing behind: each leads a process group of its own and ends as a group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE = 15.0  # seconds that a group gets to end after SIGTERM


class Process:
    """One long-running program with its log (appended) and its pid file beside the log."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name, self.command, self.env, self.cwd, self.log = name, list(command), dict(env), cwd, log
        self.pid_file = log.with_suffix(".pid")
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        """Start the program. A terminal's Ctrl-C does not reach it: whoever started it ends it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603
                self.command,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self.child.pid}\n")

    def terminate(self) -> None:
        """Ask the whole group to end; return at once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once, as ``kill -9`` does."""
        self._signal(signal.SIGKILL)
        self.wait(GRACE)

    def wait(self, seconds: float) -> bool:
        """Wait until the group has ended, at most so long; say whether it has."""
        deadline = time.monotonic() + seconds
        while self.running or self._group_lives():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
        return True

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, number)

    def _group_lives(self) -> bool:
        if self.child is None:
            return False
        try:
            os.killpg(self.child.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # how macOS says that only dead members are left
            return False
        return True


def stop(processes: Sequence[Process], grace: float = GRACE) -> None:
    """End all of them together: SIGTERM, and after ``grace`` seconds SIGKILL for what is left."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.kill()

"""Child processes that leave nothing behind: each leads a process group of its own and ends as a group."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
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
        self.pid_file.write_text(f"{self.child.pid}\n{json.dumps(self.command)}\n")

    def terminate(self) -> None:
        """Ask the whole group to end; return at once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once, as ``kill -9`` does."""
        self._signal(signal.SIGKILL)
        self.wait(GRACE)

    def wait(self, seconds: float) -> bool:
        """Wait until the group has ended, at most so long; say whether it has."""
        ended = _until(lambda: not self.running and not (self.child and group_lives(self.child.pid)), seconds)
        if ended:
            self.pid_file.unlink(missing_ok=True)
        return ended

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, number)


def group_lives(pid: int) -> bool:
    """Say whether any process of the group led by ``pid`` is left."""
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):  # macOS answers the latter when only dead members are left
        return False
    return True


def has_ended(pid: int) -> bool:
    """Say whether the leader of a group has ended, also where whoever started it has not asked yet how (Linux: a zombie)."""
    if not group_lives(pid):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:  # members are left, but not the leader; a system without /proc cannot tell
        return Path("/proc/self").exists()


def _until(fact: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(processes: Sequence[Process], grace: float = GRACE) -> None:
    """End all of them together: SIGTERM, and after ``grace`` seconds SIGKILL for what is left."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.kill()


def end_leftovers(root: Path) -> None:
    """End what an earlier supervisor, killed itself, left under ``root``; no other program under those numbers."""
    for pid_file in root.glob("*/*.pid"):
        number, command = pid_file.read_text().splitlines()
        if command_line(int(number))[-len(json.loads(command)) :] == json.loads(command):
            kill_group(int(number))
        pid_file.unlink()


def kill_group(pid: int) -> None:
    """Kill the group led by ``pid`` and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _until(lambda: not group_lives(pid), 5)


def command_line(pid: int) -> list[str]:
    """Return the arguments of a running program; nothing where there is none, or where the system has no ``/proc``."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []

"""What figures depend on and do not say: the machine, who else used it meanwhile, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import re
import resource
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
PACKAGES = ("Django", "gunicorn", "cryptography", "orjson", "msgspec")


def machine() -> dict[str, Any]:
    """Return system, processor, how many, memory (bytes) and the load of the last minute."""
    model = re.search(r"model name\s*:\s*(.*)", _read("/proc/cpuinfo"))
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "system": platform.platform(),
        "processor": model[1] if model else platform.processor(),
        "processors": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": round(os.getloadavg()[0], 2),
    }


class Watch:
    """Sees how long a bench takes, and how much of the processors others took meanwhile."""

    def __init__(self) -> None:
        self.began, self.busy, self.own = time.monotonic(), _busy(), _own()

    def seconds(self) -> float:
        """Since the start."""
        return round(time.monotonic() - self.began, 1)

    def others(self) -> dict[str, Any]:
        """Return ``busy_with_others``: how many processors what does not belong to the bench kept busy; nothing but on Linux."""
        if not self.busy:
            return {}
        elapsed = time.monotonic() - self.began
        return {"busy_with_others": round(max(0.0, _busy() - self.busy - (_own() - self.own)) / max(elapsed, 0.01), 2)}


def versions() -> dict[str, str]:
    """Return the versions of what every bench runs on; a commit where this is a checkout, marked where files differ from it."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    found |= {name: metadata.version(name) for name in PACKAGES}
    if commit := answer(["git", "-C", str(TOP), "describe", "--always", "--dirty"]):
        found = {"edgecms": commit, **found}
    return found


def answer(command: Sequence[str]) -> str:
    """Return the first line that a command writes, to either side; nothing where it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0] if done.returncode == 0 else ""


def _own() -> float:
    """Processor seconds of this process and of all its descendants that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _busy() -> float:
    """Processor seconds of everybody since the machine started; 0 where the system does not say."""
    times = re.match(r"cpu +(.*)", _read("/proc/stat"))
    if not times:
        return 0.0
    user, nice, system, _, _, irq, softirq, *_ = (int(number) for number in times[1].split())
    return (user + nice + system + irq + softirq) / float(os.sysconf("SC_CLK_TCK"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""

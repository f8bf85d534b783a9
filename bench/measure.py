"""Measuring processes: how long, how much memory, how much of the processor."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds that a server gets to answer
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True, slots=True)
class Run:
    """What one command took: ``seconds`` from its start to its end, and the most memory that it held, in bytes."""

    seconds: float
    memory: int
    stdout: str


def run(command: Sequence[str], env: Mapping[str, str]) -> Run:
    """Run a command to its end. Raises RuntimeError with what it wrote for any status but 0."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        child = subprocess.Popen(command, env=dict(env), cwd=TOP, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with status {child.returncode}:\n{out.read()}\n{err.read()}")
        return Run(seconds, usage.ru_maxrss * RSS_UNIT, out.read())


def memory(pid: int) -> int:
    """Return the most memory that a running process has held, in bytes; 0 where the system does not say."""
    found = re.search(r"VmHWM:\s*(\d+) kB", _read(f"/proc/{pid}/status"))
    return int(found[1]) * 1024 if found else 0


def processor(group: int) -> float:
    """Return the processor seconds of the processes that run in ``group``; 0 where the system does not say."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _read(stat).rpartition(") ")[2].split()
        if len(fields) > 2 and int(fields[2]) == group:
            total += sum(int(_read(each).split()[0]) for each in stat.parent.glob("task/*/schedstat") if _read(each))
    return total / 1e9


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    """Wait until ``url`` answers with success. Raises RuntimeError when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer: {error}") from error
        time.sleep(0.1)

"""Measuring one child process, and saying what several measurements gave."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, min and max."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures(runs: Sequence[Run], records: int) -> dict[str, Any]:
    """Return what several runs that each moved ``records`` gave."""
    seconds = summary([one.seconds for one in runs])
    rate = records / seconds["median"]
    return {"seconds": seconds, "records_per_second": rate, "peak_memory_bytes": summary([one.memory for one in runs])}


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

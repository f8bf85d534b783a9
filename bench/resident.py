"""A process that has loaded what it needs and waits for work: so starting and working are told apart."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measure import TOP, memory


class Resident:
    """Runs ``command``, which says ``ready`` and then answers each line with a line of JSON. ``start``: seconds until it was ready."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        began = time.perf_counter()
        self.log = log
        with log.open("w") as errors:
            self.child = subprocess.Popen(
                command, env=dict(env), cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._line()
        self.start = time.perf_counter() - began

    def ask(self, question: object) -> dict[str, Any]:
        """Return the answer, with ``memory``: the most bytes that the process has held so far. Raises RuntimeError where it ended."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{question}\n")
        self.child.stdin.flush()
        return {**json.loads(self._line()), "memory": memory(self.child.pid)}

    def end(self) -> None:
        """Let it end."""
        if self.child.stdin is not None and not self.child.stdin.closed:
            self.child.stdin.close()
        self.child.wait()

    def _line(self) -> str:
        assert self.child.stdout is not None
        if not (line := self.child.stdout.readline()):
            raise RuntimeError(f"{' '.join(map(str, self.child.args))} ended:\n{self.log.read_text()[-3000:]}")  # type: ignore
        return line

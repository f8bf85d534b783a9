"""A bell between the processes of a replica: who put a message into the queue on a file rings it, and the worker looks at once.

It is a named pipe in EDGECMS_DATA: it has no content but that it was rung, crosses containers that share the folder, takes a path of
any length, and costs no processor time while it is quiet. Whoever does not hear it looks a little later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import threading
from pathlib import Path

logger = logging.getLogger(__name__)


class Bell:
    """The bell at ``path``. ``ring`` from any process; ``listen`` first where one wants to ``wait``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends: tuple[int, int] | None = None

    def ring(self) -> None:
        """Let who waits, if anybody does, wait no longer. Never fails and never blocks."""
        with contextlib.suppress(OSError):  # nobody listens, or it has been rung so often that one more says nothing new
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                    os.write(descriptor, b".")
            finally:
                os.close(descriptor)

    def listen(self) -> bool:
        """Hang the bell up; return whether that was possible."""
        try:
            if not self.path.is_fifo():
                self.path.unlink(missing_ok=True)
                with contextlib.suppress(FileExistsError):  # another worker was quicker
                    os.mkfifo(self.path, 0o600)
            reading = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            # An end of our own to write into keeps the other from being at its end whenever nobody rings.
            self._ends = reading, os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            logger.warning("the worker cannot be woken by %s, it looks now and then: %s", self.path, error)
            return False
        return True

    def wait(self, seconds: float, stopped: threading.Event | None = None) -> None:
        """Wait until the bell is rung, at most so long. What was rung before counts, once."""
        if self._ends is None:
            (stopped or threading.Event()).wait(seconds)
        elif select.select([self._ends[0]], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):  # another worker heard it too, and was quicker
                os.read(self._ends[0], 1 << 16)

    def close(self) -> None:
        """Take it down. Another worker that still listens looks now and then."""
        if self._ends is not None:
            for descriptor in self._ends:
                os.close(descriptor)
            self._ends = None
            self.path.unlink(missing_ok=True)

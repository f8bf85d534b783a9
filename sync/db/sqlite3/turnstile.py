"""Fair turns at SQLite's one write lock: who comes next is decided before the lock is asked for.

SQLite lets each waiter look again after a while, longer and longer, and whoever looks first when the lock is free has it: mostly the
one who gave it back and wants it again, as a large pull does after each batch. Here two files are locked in turn. Who holds the
first is the next one; he waits for the second, which is the turn, and gives the first back when he has it. So who gives back the
turn and wants another stands behind the one who waits.

Only writers of this program take turns; the lock of SQLite keeps order with all others, and where the files cannot be made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

LOOK = 0.001  # seconds between two looks at a lock that somebody has: the kernel knows no wait with an end
FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
PATIENCE = 10.0  # seconds; who has waited so long goes on to SQLite's own lock, which says what is wrong


class Turnstile:
    """One writer's way to his turn. The two files stand beside ``database``; all who write it share them.

    A database in memory has no place, and nobody else who writes it; so there everybody has the turn.
    """

    def __init__(self, database: Path) -> None:
        self.is_alone = str(database).startswith((":memory:", "file:"))
        self.files = (database.with_name(f"{database.name}-next"), database.with_name(f"{database.name}-turn"))
        self._held: tuple[int, int] | None = None
        self.has_turn = False

    def enter(self) -> None:
        """Wait for the turn, at most ``PATIENCE``. Once it is had, nothing is done."""
        if self.has_turn or self.is_alone or not self._open():
            return
        assert self._held is not None
        first, second = self._held
        deadline = time.monotonic() + PATIENCE
        if _lock(first, deadline):
            self.has_turn = _lock(second, deadline)
            _unlock(first)

    def is_awaited(self) -> bool:
        """Say whether somebody waits for the turn that is had. Where turns cannot be told, somebody may."""
        if self.is_alone or not self.has_turn or self._held is None:
            return not self.is_alone
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            _unlock(self._held[0])
            return False
        return True

    def leave(self) -> None:
        """Give the turn to the next one, where it is had."""
        if self.has_turn and self._held is not None:
            self.has_turn = False
            _unlock(self._held[1])

    def close(self) -> None:
        """Give back what is held."""
        self.has_turn = False
        held, self._held = self._held, None
        for descriptor in held or ():
            os.close(descriptor)

    def _open(self) -> bool:
        """Open the files at first use: who only reads needs none."""
        if self._held is None:
            try:
                first = os.open(self.files[0], FLAGS, 0o600)
                try:
                    self._held = (first, os.open(self.files[1], FLAGS, 0o600))
                except OSError:
                    os.close(first)
                    raise
            except OSError:
                return False
        return True


def _lock(descriptor: int, deadline: float) -> bool:
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)


def _unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)

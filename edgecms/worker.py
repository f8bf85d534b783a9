"""gunicorn's worker with threads, which leaves a new connection to the worker that has fewest.

All workers wait at one port, and who is awake accepts whatever comes: under 16 connections that stay open, one worker was given all
of them, and the other nothing to do for as long as they stayed. So each writes down how many it has, in memory that all share, and
one that has more than another lets a moment pass before it accepts. Where one has many more, as after another has been replaced, it
closes some of them after their next answer: they come again, to whoever has fewest.
"""

from __future__ import annotations

import mmap
import time
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

PAUSE = 0.002  # seconds that one with more connections leaves to the others
PATIENCE = 5  # such pauses, after which it accepts all the same: the others may be busy
LOOK_EVERY = 1.0  # seconds between two looks at whether this one has many more
FEW = 2  # connections more than another that do not matter
GONE = -1  # connections of a worker that does not accept, or not yet


class Connections:
    """How many connections each worker has, by slot. Made before they are forked; each writes its own number only."""

    def __init__(self, slots: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 4 * slots)).cast("i")
        for slot in range(slots):
            self._numbers[slot] = GONE

    def __getitem__(self, slot: int) -> int:
        return self._numbers[slot]

    def __setitem__(self, slot: int, number: int) -> None:
        if slot < len(self._numbers):  # one slot more is taken for a moment where a worker is replaced
            self._numbers[slot] = number

    def least(self) -> int:
        """Return the smallest number of those that accept; 0 where nobody does."""
        return min((number for number in self._numbers if number != GONE), default=0)


class EvenWorker(ThreadWorker):
    """gthread. ``slot`` and ``connections`` are given to it before it is forked; without them it is like any other."""

    slot = 0
    connections: Connections | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = self._paused = self._too_many = 0
        self._until = self._look_at = 0.0
        super().__init__(*args, **kwargs)

    def init_process(self) -> None:
        """Let answers be sent by our own kind of response, and errors as problems. What they need of the program is loaded by now."""
        from edgecms.response import Response
        from edgecms.unread import write_error

        wsgi.Response = Response
        util.write_error = write_error  # with the status that the worker's handle_error chose
        super().init_process()

    @property
    def nr_conns(self) -> int:
        """How many connections are open here; the others see it."""
        return self._number

    @nr_conns.setter
    def nr_conns(self, number: int) -> None:
        self._number = number
        if self.connections is not None and self.booted:
            self.connections[self.slot] = number if self.alive else GONE

    def run(self) -> None:
        """Let the others know that this one accepts, and in the end that it does not."""
        self.nr_conns = 0
        try:
            super().run()
        finally:
            if self.connections is not None:
                self.connections[self.slot] = GONE

    def accept(self, listener: Any) -> None:
        """Accept, unless another one has fewer and may come to it."""
        if self.connections is not None and self._number > self.connections.least() and self._has_patience():
            self._until = time.monotonic() + PAUSE
            self.set_accept_enabled(False)
            return
        self._paused = 0
        super().accept(listener)

    def _has_patience(self) -> bool:
        """Count the pauses, those of the same wait."""
        is_another = time.monotonic() > self._until + PAUSE * PATIENCE
        self._paused = 1 if is_another else self._paused + 1
        return self._paused <= PATIENCE

    def set_accept_enabled(self, enabled: bool) -> None:
        """Look at the port again, but not before the pause is over."""
        if not enabled or time.monotonic() >= self._until:
            super().set_accept_enabled(enabled)

    @property
    def max_keepalived(self) -> int:
        """How many connections may stay open after their answer; asked at each answer, which closes its own where there are more."""
        if self._too_many > 0:
            self._too_many -= 1
            return 0
        return self._most

    @max_keepalived.setter
    def max_keepalived(self, number: int) -> None:
        self._most = number

    def _compare(self) -> None:
        """Find out how many connections are to go to others."""
        more = self._number - self.connections.least() if self.connections is not None else 0
        self._too_many = more // 2 if more > max(FEW, self._number // 4) else 0

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait no longer than the pause takes."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._compare()
        left = self._until - now
        super().wait_for_and_dispatch_events(min(timeout, left) if left > 0 else timeout)

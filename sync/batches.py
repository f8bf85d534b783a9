"""A stream in loads and batches: large enough to be quick, small enough that nobody else waits long.

A load is what is taken off the stream before the turn to write is asked for; nobody waits for a network while he has it. It is applied
in batches, each of which should take ``SECONDS``; after each of them whoever waits for the turn has it, and what was applied
is committed. So the price of a commit is paid for a load where nobody waits, and whoever comes waits for one batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sync.core.errors import SyncError
from sync.core.wire import Frame

SECONDS = 0.04  # that a batch should take
FIRST = 200  # changesets or rows of the first one, of which nobody knows how long it takes
MOST = 1000  # changesets or rows of a batch, but for a single frame of more
LOAD = 2000  # changesets or rows of a load, but for a single frame of more
PATIENCE = 0.25  # seconds after which what came of a load is applied, where the stream brings it slowly
BYTES = 32 << 20  # of changesets with their values, in memory


def weight(frame: Frame) -> int:
    """Return for how many a frame counts: its changesets; one that touches several rows counts as that many."""
    return sum(len(changeset.head.ops) or 1 for changeset in frame.changesets)


def loads(frames: Iterable[Frame]) -> Iterator[deque[Frame]]:
    """Yield frames in loads. Where the stream fails, what came is a load first: or a bad line would never bring anything."""
    load, count, size, begun = deque[Frame](), 0, 0, 0.0
    failure: SyncError | None = None
    try:
        for frame in frames:
            begun = begun if load else time.monotonic()
            load.append(frame)
            count, size = count + weight(frame), size + frame.size
            if count >= LOAD or size >= BYTES or time.monotonic() > begun + PATIENCE:
                yield load
                load, count, size = deque(), 0, 0
    except SyncError as error:
        failure = error
    if load:
        yield load
    if failure is not None:
        raise failure


class Stride:
    """How much the next batch may have: as much as lately took ``SECONDS``."""

    def __init__(self) -> None:
        self.size = FIRST

    @contextmanager
    def batch(self, load: deque[Frame]) -> Iterator[list[Frame]]:
        """Take a batch off ``load``, never less than a frame; learn from how long it takes the caller."""
        batch = [load.popleft()]
        count = weight(batch[0])
        while load and count < self.size:
            batch.append(load.popleft())
            count += weight(batch[-1])
        begun = time.monotonic()
        yield batch
        self._took(count, time.monotonic() - begun)

    def _took(self, count: int, seconds: float) -> None:
        """Grow at most twofold, for others may be harder."""
        fitting = count * SECONDS / max(seconds, 1e-6)
        self.size = max(1, min(MOST, 2 * self.size, int(fitting)))

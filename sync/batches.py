"""A stream in batches, each of which is one transaction: large enough to be quick, small enough that nobody else waits long for it.

Whoever writes meanwhile waits for two batches at most. So a batch is given as many changesets as lately took ``SECONDS``; never fewer
than a frame, which is kept as it came.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from sync.core.errors import SyncError
from sync.core.wire import Frame

SECONDS = 0.05  # that a batch should take
FIRST = 200  # changesets or rows of the first one, of which nobody knows how long it takes
MOST = 1000  # changesets or rows of one, but for a single frame of more
BYTES = 32 << 20  # of changesets with their values, in memory


class Stride:
    """How many changesets the next batch may have; one that touches several rows counts as that many."""

    def __init__(self) -> None:
        self.size = FIRST

    def took(self, count: int, seconds: float) -> None:
        """Learn from a batch of ``count``; growing at most twofold, for another may be harder."""
        fitting = count * SECONDS / max(seconds, 1e-6)
        self.size = max(1, min(MOST, 2 * self.size, int(fitting)))


def batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Yield frames in batches. Where the stream fails, what came is a batch first: or a bad line would never bring anything.

    What a batch takes is the time until the next one is asked for.
    """
    stride, batch = Stride(), list[Frame]()
    count = size = 0
    failure: SyncError | None = None
    try:
        for frame in frames:
            batch.append(frame)
            count, size = count + sum(len(changeset.head.ops) or 1 for changeset in frame.changesets), size + frame.size
            if count >= stride.size or size >= BYTES:
                begun = time.monotonic()
                yield batch
                stride.took(count, time.monotonic() - begun)
                batch, count, size = [], 0, 0
    except SyncError as error:
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure

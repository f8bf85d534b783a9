"""A stream is cut into batches that take about as long as one may have to wait for one."""

import time

from sync import batches
from sync.core.wire import Frame
from tests.sync.origins import Origin, framed, title

EACH = 10


def frames(count: int) -> list[Frame]:
    """Return frames of ``EACH`` changesets."""
    origin = Origin("EDGE07-LON")
    return [
        framed(*(origin.make(title(f"EDGE07-LON-43AX-{n:04}{m:04}-221126143015", "News")) for m in range(EACH)))
        for n in range(count)
    ]


def sizes(stream: list[Frame], seconds_each: float) -> list[int]:
    """Return the sizes of the batches of one who takes so long for each changeset, by a clock that nobody waits for."""
    found, clock = [], [0.0]
    before, time.monotonic = time.monotonic, lambda: clock[0]
    try:
        for batch in batches.batches(stream):
            found.append(sum(len(frame.changesets) for frame in batch))
            clock[0] += found[-1] * seconds_each
    finally:
        time.monotonic = before
    return found


def test_whoever_is_slow_takes_less_at_a_time():
    """After the first batch each takes about as long as it should, and none is less than a frame."""
    stream = frames(60)
    found = sizes(stream, seconds_each=batches.SECONDS / 30)
    assert sum(found) == 600 and found[0] == batches.FIRST and set(found[1:-1]) == {30}
    assert set(sizes(stream, seconds_each=1.0)[1:]) == {EACH}


def test_whoever_is_quick_takes_more_up_to_a_bound():
    """Twice as many each time, since the next ones may be harder."""
    found = sizes(frames(300), seconds_each=1e-9)
    assert found[:3] == [batches.FIRST, 2 * batches.FIRST, 4 * batches.FIRST] and max(found) <= batches.MOST


def test_a_changeset_of_many_rows_counts_as_many():
    """An import that makes hundred rows in each changeset is cut as finely as one that makes each a changeset of its own."""
    origin = Origin("EDGE07-LON")
    tokens = [f"EDGE07-LON-43AX-AAAA{n:04}-221126143015" for n in range(100)]
    stream = [framed(origin.make(*(title(token, f"{m}") for token in tokens))) for m in range(6)]
    assert sizes(stream, seconds_each=1.0)[0] == batches.FIRST // 100

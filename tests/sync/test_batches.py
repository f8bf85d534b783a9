"""A stream is cut into loads, which wait for nobody, and these into batches that take about as long as one may have to wait."""

import time
from collections.abc import Iterator

import pytest

from sync import batches
from sync.core.errors import MalformedError
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


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that nobody waits for."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def sizes(stream: list[Frame], clock: list[float], seconds_each: float) -> list[int]:
    """Return the sizes of the batches of one who takes so long for each changeset."""
    found, stride = [], batches.Stride()
    for load in batches.loads(stream):
        while load:
            with stride.batch(load) as batch:
                found.append(sum(len(frame.changesets) for frame in batch))
                clock[0] += found[-1] * seconds_each
    return found


def test_whoever_is_slow_takes_less_at_a_time(clock):
    """After the first batch each takes about as long as it should, and none is less than a frame."""
    stream = frames(60)
    found = sizes(stream, clock, seconds_each=batches.SECONDS / 30)
    assert sum(found) == 600 and found[0] == batches.FIRST and set(found[1:-1]) == {30}
    assert set(sizes(stream, clock, seconds_each=1.0)[1:]) == {EACH}


def test_whoever_is_quick_takes_more_up_to_a_bound(clock):
    """Twice as many each time, since the next ones may be harder."""
    found = sizes(frames(300), clock, seconds_each=1e-9)
    assert found[:3] == [batches.FIRST, 2 * batches.FIRST, 4 * batches.FIRST] and max(found) <= batches.MOST


def test_a_changeset_of_many_rows_counts_as_many(clock):
    """An import that makes hundred rows in each changeset is cut as finely as one that makes each a changeset of its own."""
    origin = Origin("EDGE07-LON")
    tokens = [f"EDGE07-LON-43AX-AAAA{n:04}-221126143015" for n in range(100)]
    stream = [framed(origin.make(*(title(token, f"{m}") for token in tokens))) for m in range(6)]
    assert sizes(stream, clock, seconds_each=1.0)[0] == batches.FIRST // 100


def test_a_load_is_bounded_by_what_is_in_memory_and_by_time(clock):
    """A quick stream fills it; of a slow one, what came is applied before the peer has sent all of it."""

    def slow(stream: list[Frame]) -> Iterator[Frame]:
        for frame in stream:
            clock[0] += batches.PATIENCE * 0.6
            yield frame

    stream = frames(batches.LOAD // EACH + 10)
    assert [len(load) for load in batches.loads(stream)] == [batches.LOAD // EACH, 10]
    assert [len(load) for load in batches.loads(slow(stream[:7]))] == [3, 3, 1]


def test_where_a_stream_fails_what_came_is_a_load_first():
    """A bad line would never bring anything else."""

    def broken() -> Iterator[Frame]:
        yield from frames(3)
        raise MalformedError("a bad line")

    found = batches.loads(broken())
    assert len(next(found)) == 3
    with pytest.raises(MalformedError):
        next(found)

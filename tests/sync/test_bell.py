"""Who waits for a message hears of it at once; who rings waits for nobody."""

import threading
import time

import pytest

from sync import jobs, queues
from sync.bell import Bell

LONG = 60.0  # seconds that nobody has to wait


@pytest.fixture
def bell(tmp_path):
    """A bell that somebody listens to."""
    made = Bell(tmp_path / "bell")
    assert made.listen()
    yield made
    made.close()


def test_what_was_rung_before_or_while_one_waits_is_heard_once(bell):
    """The first two waits end by the bell, whenever it was rung; the third by its time."""
    Bell(bell.path).ring()
    Bell(bell.path).ring()
    start = time.monotonic()
    bell.wait(LONG)
    threading.Timer(0.05, Bell(bell.path).ring).start()
    bell.wait(LONG)
    assert time.monotonic() - start < LONG / 2
    start = time.monotonic()
    bell.wait(0.2)
    assert time.monotonic() - start >= 0.2


def test_ringing_never_waits_and_never_fails(tmp_path, bell):
    """Without a listener, without a folder, at a file of another kind, and when it was rung a hundred thousand times."""
    Bell(tmp_path / "nobody").ring()
    Bell(tmp_path / "no" / "folder").ring()
    (tmp_path / "file").write_bytes(b"kept")
    Bell(tmp_path / "file").ring()
    assert (tmp_path / "file").read_bytes() == b"kept"
    for _ in range(100_000):
        bell.ring()
    bell.close()
    bell.ring()


def test_a_bell_that_cannot_be_hung_up_is_told_of(tmp_path, caplog):
    """The worker looks now and then instead."""
    assert not Bell(tmp_path / "no" / "folder" / "bell").listen()
    assert "looks now and then" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_embedded_queue_is_not_looked_into_at_intervals(monkeypatch):
    """A worker that would look once in a minute has a message the moment it is put in."""
    monkeypatch.setattr(queues, "LOOK", LONG)
    queue = jobs.queue()
    queue.flush()
    queue.listen()
    try:
        took, start = [], time.monotonic()
        threading.Timer(0.2, jobs.wake).start()
        while not took:
            took = [task for task in [queue.dequeue()] if task is not None]
        assert time.monotonic() - start < LONG / 2
    finally:
        queue.leave()
        queue.flush()

"""Messages are hints: they are sent after a commit, they do not pile up, and their loss is nobody's trouble."""

import os
import signal
import time

import pytest

from content.models import Section
from sync import jobs, queues, sweep
from tests.servers import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def queue():
    """An empty queue of this replica."""
    jobs.queue().flush()
    yield jobs.queue()
    jobs.queue().flush()


@pytest.fixture
def on_redis(settings, redis_server):
    """The same on Redis."""
    settings.SYNC = {**settings.SYNC, "REDIS_URL": redis_server.url}
    jobs.queue.cache_clear()
    jobs.task.cache_clear()
    yield redis_server
    jobs.queue.cache_clear()
    jobs.task.cache_clear()


def test_a_commit_leaves_a_message_and_a_rollback_none(queue):
    """The worker hears of what is there, not of what was tried."""
    Section.objects.create(title="News")
    assert queue.pending_count() == 1


def test_messages_do_not_pile_up_where_nobody_takes_them(queue):
    """A thousand changes without a worker are a few hints."""
    for number in range(3 * jobs.ENOUGH):
        Section.objects.create(title=f"Section {number}")
    assert queue.pending_count() == jobs.ENOUGH


@pytest.mark.redis
def test_with_redis_messages_go_there(on_redis):
    """One variable chooses."""
    Section.objects.create(title="News")
    assert jobs.queue().pending_count() == 1
    assert "Redis" in type(jobs.queue()).__name__
    jobs.queue().flush()


@pytest.mark.redis
def test_a_redis_that_is_gone_keeps_nobody_from_writing(on_redis):
    """The change is stored, its message is lost, the sweep will find it."""
    on_redis.kill()
    try:
        start = time.monotonic()
        for number in range(5):
            Section.objects.create(title=f"News {number}")
        assert time.monotonic() - start < queues.PATIENCE
    finally:
        on_redis.start()
    assert Section.objects.count() == 5


@pytest.mark.redis
def test_messages_that_redis_did_not_take_are_sent_when_it_is_back(on_redis):
    """A writer that goes on living makes up for them by itself, once for all: they are hints."""
    on_redis.kill()
    try:
        for number in range(3):
            Section.objects.create(title=f"News {number}")
    finally:
        on_redis.start()
    eventually(lambda: jobs.queue().pending_count() == 1)
    Section.objects.create(title="Sport")
    eventually(lambda: jobs.queue().pending_count() == 2)
    jobs.queue().flush()


@pytest.mark.redis
def test_a_redis_that_hangs_costs_one_writer_a_moment_and_the_next_nothing(on_redis):
    """Whoever meets it first waits for its answer, bounded; until it answers again nobody else asks."""
    os.kill(on_redis.child.pid, signal.SIGSTOP)
    try:
        Section.objects.create(title="News")
        start = time.monotonic()
        for number in range(5):
            Section.objects.create(title=f"News {number}")
        assert time.monotonic() - start < queues.PATIENCE / 2
    finally:
        os.kill(on_redis.child.pid, signal.SIGCONT)
    eventually(lambda: jobs.queue().pending_count() >= 1)
    jobs.queue().flush()


def works_off(caplog, looks):
    """Let huey's own worker look into the queue some times; return what it logged that somebody should see."""
    worker, _ = jobs.queue().create_consumer(workers=1, periodic=False).worker_threads[0]
    caplog.clear()
    for _ in range(looks):
        worker.loop()
    return [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]


@pytest.mark.parametrize("kind", ["file", pytest.param("redis", marks=pytest.mark.redis)])
def test_a_message_that_was_taken_is_worked_off_without_the_queue(kind, request, monkeypatch, caplog):
    """Whatever else a worker asked of it could fail at that very moment: then the message would be gone, or told of as a fault."""
    if kind == "redis":
        request.getfixturevalue("on_redis")
    woken, storage = [], jobs.queue().storage
    monkeypatch.setattr(sweep, "react_at_once", lambda peer, source: woken.append(peer))
    jobs.wake("MASTER01-LON")
    take = storage.dequeue

    def fails(*_, **__):
        raise ConnectionError("the queue went away at exactly this moment")

    def take_and_die():
        message = take()
        for name in dir(type(storage)):
            if not name.startswith("_") and callable(getattr(type(storage), name)):
                monkeypatch.setattr(storage, name, fails)
        return message

    monkeypatch.setattr(storage, "dequeue", take_and_die)
    assert works_off(caplog, looks=1) == []
    monkeypatch.undo()
    assert woken == ["MASTER01-LON"]
    assert jobs.queue().pending_count() == 0


@pytest.mark.redis
def test_a_redis_that_dies_while_a_message_is_worked_off_is_told_of_in_one_line(on_redis, monkeypatch, caplog):
    """The work is done to its end; that messages come no more is one line, and no traceback."""
    monkeypatch.setattr(jobs, "PAUSE", 0.01)
    monkeypatch.setattr(sweep, "react_at_once", lambda *_: on_redis.kill())
    jobs.wake()
    try:
        (line,) = works_off(caplog, looks=4)
    finally:
        on_redis.start()
    assert "the queue gives no messages, the next sweep catches up" in line.getMessage()
    assert line.exc_info is None


def test_a_queue_that_fails_is_told_of_once_and_what_was_missed_is_made_up_for(caplog, monkeypatch):
    """A worker looks four times a second; its log would fill what is left of a full disk."""
    monkeypatch.setattr(jobs, "PAUSE", 0.01)
    failing = True

    def dequeue():
        if failing:
            raise OSError("no room")

    queue = jobs.queue()
    monkeypatch.setattr(queue.storage, "dequeue", dequeue)
    queue.recovered.clear()
    assert [queue.dequeue() for _ in range(5)] == [None] * 5
    assert [record.getMessage() for record in caplog.records if "gives no messages" in record.getMessage()] == [
        "the queue gives no messages, the next sweep catches up: no room"
    ]
    assert not queue.recovered.is_set()
    failing = False
    queue.dequeue()
    assert queue.recovered.is_set()

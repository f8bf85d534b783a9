"""Messages are hints: they are sent after a commit, they do not pile up, and their loss is nobody's trouble."""

import pytest

from content.models import Section
from sync import jobs

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
        Section.objects.create(title="News")
    finally:
        on_redis.start()
    assert Section.objects.count() == 1

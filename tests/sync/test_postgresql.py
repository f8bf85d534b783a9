"""The tests of this folder on PostgreSQL, in a session of their own; and the case that only exists there."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection, connections, transaction

from content.models import Section
from sync import log
from tests.servers import PostgreSQL, Redis

IS_POSTGRESQL = connection.vendor == "postgresql"


@pytest.mark.postgresql
@pytest.mark.redis
@pytest.mark.skipif(IS_POSTGRESQL, reason="this is the session that the test starts")
@pytest.mark.timeout(600)
def test_everything_here_holds_on_postgresql_and_with_redis(postgresql_server: PostgreSQL, redis_server: Redis):
    """Capture, receiving, trust, forms: each promise is kept on both databases, and with messages on Redis."""
    here = Path(__file__).parent
    places = [str(here), str(here.parent / "content" / "test_editor_versions.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *places]
    environment = {**os.environ, "DATABASE_URL": postgresql_server.database(), "TEST_REDIS_URL": redis_server.url}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "test_sqlite" in done.stdout, "the tests about SQLite are skipped there, or this ran on SQLite again"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not IS_POSTGRESQL, reason="only PostgreSQL lets two transactions write at once")
def test_a_reader_between_two_commits_never_steps_over_a_number():
    """The one that began to write first commits first, whatever the other is in a hurry for."""
    began, may_commit, order = threading.Event(), threading.Event(), []

    def write(name, wait):
        try:
            with transaction.atomic():
                Section.objects.create(title=name)
                began.set()
                if wait:
                    may_commit.wait(20)
            order.append(name)
        finally:
            connections.close_all()

    slow = threading.Thread(target=write, args=("slow", True))
    slow.start()
    began.wait(20)
    quick = threading.Thread(target=write, args=("quick", False))
    quick.start()
    quick.join(0.5)
    assert [changeset.head.seq for _, changeset in log.scan()] == []
    may_commit.set()
    slow.join()
    quick.join()
    assert order == ["slow", "quick"]
    assert [(c.head.seq, entry.position) for entry, c in log.scan()] == sorted(
        (c.head.seq, entry.position) for entry, c in log.scan()
    )
    assert [changeset.head.seq for _, changeset in log.scan()] == [1, 2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not IS_POSTGRESQL, reason="only PostgreSQL gives locks back at a savepoint")
def test_the_turn_is_kept_after_a_savepoint_was_rolled_back():
    """Rolling back gives back what was taken within; the next write takes the turn again before it looks at anything."""
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            Section.objects.create(title="Lost")
            raise RuntimeError
        Section.objects.create(title="Kept")
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            assert cursor.fetchone()[0] >= 1

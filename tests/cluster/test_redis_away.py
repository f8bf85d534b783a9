"""Redis that dies with messages in it: writers do not wait, nothing is lost, and when it is back messages travel at once again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis

from tests.cluster.acts import PUBLISH, shows
from tests.cluster.harness import Cluster, eventually
from tests.cluster.test_full_disk import submission
from tests.cluster.zygote import MANAGE, Zygote, found_site
from tests.servers import Redis

pytestmark = [pytest.mark.cluster, pytest.mark.redis]


def test_messages_travel_at_once_again_when_redis_is_back(tmp_path: Path, redis_server: Redis) -> None:
    """Without a sweep for an hour: what was written while Redis was away follows within moments of its return."""
    with Cluster(tmp_path, interval=3600) as cluster:
        master, edge = (
            cluster.make("MASTER01", "master", redis_url=redis_server.url),
            cluster.make("EDGE01", "edge", farm="thames", redis_url=redis_server.url),
        )
        with Zygote(master) as root, Zygote(edge) as other:
            found_site([root, other])
            root.web(), other.web()
            workers = [zygote.start(MANAGE, "sync_worker") for zygote in (root, other)]
            first = str(root.answer(PUBLISH, title="First"))
            eventually(lambda: shows(edge, first, "First"))
            redis_server.kill()
            try:
                start = time.monotonic()
                assert submission(edge).status_code == 201  # a writer that lives on: it sends its message later
                assert time.monotonic() - start < 5
            finally:
                redis_server.start()
            count = "from content.models import Submission\nanswer = Submission.objects.count()"
            eventually(lambda: root.answer(count) == 1, timeout=20)
            with redis.Redis.from_url(redis_server.url) as messages:
                eventually(lambda: messages.dbsize() == 0)
            second = str(root.answer(PUBLISH, title="Second"))
            eventually(lambda: shows(edge, second, "Second"), timeout=20)
            assert not root.has_ended(workers[0]) and not other.has_ended(workers[1])
            for replica in (master, edge):
                assert "Traceback" not in (replica.folder / "sync_worker.log").read_text()

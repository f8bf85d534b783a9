"""How many submissions one address may send: counted by all workers together, and never at the price of one that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.cluster.harness import Cluster, Replica
from tests.servers import Redis

pytestmark = pytest.mark.cluster


def sent(replica: Replica, numbers: range) -> list[int]:
    """Send submissions, eight at once, each over a connection of its own, so that all workers get some; return the statuses."""
    letter = {"form": "contact", "data": {"name": "Ada"}}

    def send(number: int) -> int:
        return httpx.post(f"{replica.url}/api/v1/submissions/", json={**letter, "idempotency_key": f"key-{number}"}).status_code

    with ThreadPoolExecutor(8) as several:
        return list(several.map(send, numbers))


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[Cluster]:
    """A site in the making."""
    with Cluster(tmp_path) as cluster:
        yield cluster


def begin(cluster: Cluster, **databases: str) -> Replica:
    """Start a replica that two workers serve."""
    replica = cluster.add("MASTER01", "master", **databases)
    replica.start_web()
    return replica


def test_workers_count_together_in_a_folder(bounded: Cluster) -> None:
    """Thirty a minute, whichever worker takes them."""
    statuses = sent(begin(bounded), range(40))
    assert (statuses.count(201), statuses.count(429)) == (30, 10)


@pytest.mark.redis
def test_workers_count_together_in_redis_and_go_on_without_it(bounded: Cluster, redis_server: Redis) -> None:
    """Thirty a minute; while Redis is away everything is taken."""
    replica = begin(bounded, redis_url=redis_server.url)
    statuses = sent(replica, range(40))
    assert (statuses.count(201), statuses.count(429)) == (30, 10)
    redis_server.kill()
    try:
        assert set(sent(replica, range(40, 45))) == {201}
    finally:
        redis_server.start()

"""Workers that run beside three replicas: changes travel by themselves, and nothing depends on the messages that hurry them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.cluster.acts import look_at, publish, publish_by_form, shows
from tests.cluster.harness import Cluster, Replica, each, eventually
from tests.servers import PostgreSQL, Redis

pytestmark = pytest.mark.cluster


def farm(cluster: Cluster, database_url: str = "", redis_url: str = "") -> list[Replica]:
    """Make a master and two edges of a farm; nothing runs."""
    cluster.make("MASTER01", "master", database_url=database_url, redis_url=redis_url)
    cluster.make("EDGE01", "edge", farm="thames", redis_url=redis_url)
    cluster.make("EDGE02", "edge", farm="thames", redis_url=redis_url)
    cluster.prepare()
    return cluster.replicas


def everywhere(site: list[Replica], **pages: str) -> None:
    """Wait until all of ``site`` show each of the pages (title -> path with underscores for spaces in titles)."""
    for title, path in pages.items():
        for replica in site:
            eventually(lambda r=replica, p=path, t=title: shows(r, p, t.replace("_", " ")), timeout=60)  # type: ignore[misc]


def alike(site: list[Replica]) -> None:
    """Wait until all digests are equal."""
    eventually(lambda: len({look.status["digest"] for look in look_at(site)}) == 1, timeout=60)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """A running farm with the embedded queue. The interval is an hour: what travels sooner, travels by messages."""
    with Cluster(tmp_path_factory.mktemp("worker"), interval=3600) as cluster:
        site = farm(cluster)
        publish(site[0], "First")
        cluster.start()
        alike(site)
        yield site


def test_a_publish_on_the_master_appears_on_both_edges(site: list[Replica]) -> None:
    """The commit wakes the worker, which pushes: long before the next sweep the page is on every edge."""
    everywhere(site, High_water=publish(site[0], "High water"))


def test_a_page_written_on_an_edge_reaches_its_neighbour_and_the_master(site: list[Replica]) -> None:
    """The edge pushes to its neighbour, and wakes the master, to which it may not push; the master pulls."""
    everywhere(site, Low_water=publish(site[1], "Low water"))
    alike(site)


def test_a_replica_that_was_away_catches_up(site: list[Replica]) -> None:
    """What others wrote while an edge was stopped is there soon after it starts, without anybody writing again."""
    master, edge, away = site
    away.stop()
    pages = {"Ebb": publish(master, "Ebb"), "Flood": publish(edge, "Flood")}
    everywhere([master, edge], **pages)
    away.start_web()
    away.start_worker()
    everywhere([away], **pages)
    alike(site)


def test_a_worker_ends_when_it_is_asked_to(site: list[Replica]) -> None:
    """SIGTERM, as every supervisor sends it, ends a worker that waits for its next sweep, with status 0."""
    end_worker(site[2])
    site[2].start_worker()


def end_worker(replica: Replica) -> None:
    """Ask the worker to end and wait until it has."""
    child = replica.worker.child
    assert child is not None
    replica.worker.terminate()
    assert replica.worker.wait(30), f"the worker of {replica.name} does not end"
    assert child.returncode == 0


@pytest.mark.redis
@pytest.mark.postgresql
def test_nothing_is_lost_with_redis(tmp_path: Path, postgresql_server: PostgreSQL, redis_server: Redis) -> None:
    """Redis is emptied and killed while messages wait in it: edits are acknowledged all the same, and the sweep brings all."""
    with Cluster(tmp_path, interval=1) as cluster:
        site = farm(cluster, postgresql_server.database(), redis_server.url)
        master, edge, neighbour = site
        edge.make_account()
        pages = {"First": publish(master, "First")}
        cluster.start()
        everywhere(site, **pages)
        each(site, end_worker)
        with contextlib.closing(edge.login()) as client:
            pages["Waiting"] = publish_by_form(client, "Waiting")
            pages["Also_waiting"] = publish(master, "Also waiting")
            with redis.Redis.from_url(redis_server.url) as messages:
                assert messages.dbsize() > 0
                redis_server.empty()
                assert messages.dbsize() == 0
            redis_server.kill()
            try:
                pages["Without_Redis"] = publish_by_form(client, "Without Redis")
                pages["Also_without"] = publish(neighbour, "Also without")
                for replica in site:
                    replica.start_worker()
                everywhere(site, **pages)
                alike(site)
                assert all(replica.worker.running for replica in site)
            finally:
                redis_server.start()
            everywhere(site, Redis_is_back=publish_by_form(client, "Redis is back"))
            alike(site)

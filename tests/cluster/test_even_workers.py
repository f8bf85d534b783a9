"""Connections that stay open are shared by all workers of a replica, and nobody waits for one that has died."""

from __future__ import annotations

import http.client
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster, Replica, eventually
from tests.cluster.zygote import Zygote, children

pytestmark = pytest.mark.cluster

CONNECTIONS, REQUESTS = 16, 10


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, int, Path]]:
    """A replica with two workers, the arbiter, and a file with the worker of each request."""
    with Cluster(tmp_path_factory.mktemp("even"), WEB_CONCURRENCY="2") as cluster:
        replica = cluster.make("MASTER01", "master")
        log = replica.folder / "access"
        replica.extra["GUNICORN_CMD_ARGS"] = f"--access-logfile {log} --access-logformat '%(p)s %(U)s'"
        with Zygote(replica) as zygote:
            zygote.must("migrate", "--verbosity", "0")
            pid = zygote.web()
            eventually(lambda: len(children(pid)) == 2 and replica.why_not_ready() == "", timeout=60)
            yield replica, pid, log


def answered(log: Path) -> Counter[str]:
    """Return how many probes each worker has answered."""
    return Counter(line.split()[0] for line in log.read_text().splitlines() if line.endswith("/healthz"))


def ask(connections: list[http.client.HTTPConnection]) -> None:
    """Ask once by each connection, all at the same time, and read the answers."""
    for connection in connections:
        connection.request("GET", "/healthz")
    for connection in connections:
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()


@pytest.mark.parametrize("time", range(4))  # by chance they are shared now and then also without any care
def test_connections_that_stay_open_are_shared_by_both_workers(site: tuple[Replica, int, Path], time: int) -> None:
    """Of 16 kept-alive connections, opened at once, each worker has a quarter at least, and answers as much of the requests."""
    replica, pid, log = site
    before = answered(log)
    with ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", replica.port, timeout=60) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.callback(connection.close)
            connection.connect()
        for _ in range(REQUESTS):
            ask(connections)
    total = CONNECTIONS * REQUESTS
    found = eventually(lambda: (count := answered(log) - before).total() >= total and count)
    assert len(found) == 2 and min(found.values()) >= total / 4, f"of {children(pid)} have answered: {found}"


def test_a_worker_that_comes_later_gets_its_share_of_connections_that_stay_open(site: tuple[Replica, int, Path]) -> None:
    """All connections were opened while there was one worker; when there are two, each answers a quarter at least."""
    replica, pid, log = site
    os.kill(pid, signal.SIGTTOU)
    eventually(lambda: len(children(pid)) == 1)
    with ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", replica.port, timeout=60) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.callback(connection.close)
        ask(connections)
        os.kill(pid, signal.SIGTTIN)
        eventually(lambda: len(children(pid)) == 2)
        eventually(lambda: are_even(connections, log), timeout=15)


def are_even(connections: list[http.client.HTTPConnection], log: Path) -> bool:
    """Ask by all connections, and say whether each of two workers has answered a quarter at least."""
    before = answered(log)
    ask(connections)
    found = eventually(lambda: (count := answered(log) - before).total() >= len(connections) and count)
    return len(found) == 2 and min(found.values()) >= len(connections) / 4


def test_a_worker_that_died_keeps_no_connection_waiting(site: tuple[Replica, int, Path]) -> None:
    """Whatever it had, the others accept what comes, and the one that replaces it takes its share."""
    replica, pid, log = site
    first = children(pid)
    os.kill(first[0], signal.SIGKILL)
    with ExitStack() as stack:
        connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=60)
        stack.callback(connection.close)
        ask([connection])
    eventually(lambda: len(set(children(pid)) - set(first)) == 1 and len(children(pid)) == 2)
    [fresh] = set(children(pid)) - set(first)
    eventually(lambda: shared_with(fresh, replica, log))


def shared_with(worker: int, replica: Replica, log: Path) -> bool:
    """Say whether ``worker`` answers some of eight connections."""
    before = answered(log)
    with ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", replica.port, timeout=60) for _ in range(8)]
        for connection in connections:
            stack.callback(connection.close)
        ask(connections)
    return bool(eventually(lambda: (count := answered(log) - before).total() >= 8 and count)[f"<{worker}>"])

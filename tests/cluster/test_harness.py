"""One real replica under gunicorn: it answers its probes, lets an editor in, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import group_lives
from tests.cluster.harness import Cluster, Replica, eventually
from tests.servers import PostgreSQL

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master with two gunicorn workers, running."""
    with Cluster(tmp_path_factory.mktemp("cluster"), WEB_CONCURRENCY="2") as cluster:
        cluster.add("MASTER01", "master")
        cluster.start(workers=False)
        yield cluster


@pytest.fixture
def master(cluster: Cluster) -> Replica:
    """The running master."""
    return cluster.replicas[0]


def test_probes_answer_under_any_host_name(master: Replica) -> None:
    """A probe that asks by an address which no ALLOWED_HOSTS names gets its answer; a page is refused to it."""
    headers = {"Host": "10.1.2.3:8000"}
    answers = {
        path: master.get(path, headers=headers).status_code for path in ("/healthz", "/readyz", "/metrics", "/admin/login/")
    }
    assert answers == {"/healthz": 200, "/readyz": 200, "/metrics": 200, "/admin/login/": 400}


def test_an_editor_logs_in(master: Replica) -> None:
    """The account made by createsuperuser opens the admin."""
    with contextlib.closing(master.login()) as client:
        assert client.get("/admin/").status_code == 200


def test_numbers_are_added_up_over_workers_and_survive_their_replacement(master: Replica) -> None:
    """Every request is counted once, whichever worker took it, also after that worker has been replaced."""

    def counted() -> float:
        lines = master.get("/metrics").text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("edgecms_requests_total") and "admin:login" in line
        )

    before = counted()
    for _ in range(10):
        master.get("/admin/login/")
    assert counted() == before + 10
    assert master.web.child
    first = workers_of(master.web.child.pid)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(workers_of(master.web.child.pid) - first) == 2)
    for _ in range(10):
        master.get("/admin/login/")
    assert counted() == before + 20
    assert len(list((master.folder / "metrics").glob("counter_worker*.db"))) <= 2


def workers_of(pid: int) -> set[int]:
    """Return the processes that gunicorn's arbiter has forked."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process under /proc")
    return {int(child) for child in children.read_text().split()}


def test_no_control_socket_is_opened(master: Replica) -> None:
    """gunicorn leaves nothing in the home of the account that runs it."""
    assert not (Path.home() / ".gunicorn").exists()


def test_killed_replica_leaves_no_process(cluster: Cluster) -> None:
    """After ``kill`` the whole process group is gone, and the replica starts again on the same data."""
    replica = cluster.replicas[0]
    assert replica.web.child
    group = replica.web.child.pid
    replica.kill()
    assert not group_lives(group)
    replica.start_web()
    assert replica.get("/healthz").status_code == 200


@pytest.mark.postgresql
def test_replica_on_postgresql_is_ready(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQL) -> None:
    """DATABASE_URL alone turns the embedded database into PostgreSQL."""
    with Cluster(tmp_path_factory.mktemp("postgresql")) as cluster:
        node = cluster.add("NODE01", "node", farm="thames", database_url=postgresql_server.database())
        cluster.start(workers=False)
        assert node.get("/readyz").json()["status"] == "ready"
        assert not (node.folder / "db.sqlite3").exists()


def test_introduced_replicas_exchange(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cluster of the harness trusts itself by key: an edge pulls from the master and holds equal content."""
    with Cluster(tmp_path_factory.mktemp("introduced")) as cluster:
        master, edge = cluster.add("MASTER01", "master"), cluster.add("EDGE01", "edge", farm="thames")
        cluster.introduce()
        cluster.start(workers=False)
        assert [peer["ok"] for peer in edge.command("sync_pull")["peers"]] == [True]
        assert edge.command("sync_status")["digest"] == master.command("sync_status")["digest"]

"""Real replicas for tests: from an empty folder to a cluster that trusts itself by key.

with Cluster(tmp_path) as cluster:
    master, edge = cluster.add("MASTER01", "master"), cluster.add("EDGE01", "edge", farm="thames")
    cluster.introduce()
    cluster.start()
    eventually(lambda: edge.get("/").status == 200)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from deploy.local import replica as local
from deploy.local.processes import stop
from tests.servers import eventually, free_port

USERNAME, PASSWORD = "alice", "tide-on-the-thames"

__all__ = ["PASSWORD", "USERNAME", "Cluster", "Replica", "each", "eventually"]


@dataclass
class Replica(local.Replica):
    """A replica as ``make run`` starts it, with what a test asks of it over HTTP."""

    @property
    def base(self) -> str:
        """Its address without a name to look up."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **kwargs: Any) -> httpx2.Response:
        """GET a path of this replica as a visitor; redirects are shown, not followed."""
        return httpx2.get(f"{self.base}{path}", timeout=60, trust_env=False, **kwargs)

    def command(self, *args: str) -> Any:
        """Run ``manage.py … --json`` and return its answer. Raises CommandError for any status but 0."""
        return self.must(*args, parse=True)

    def make_account(self) -> None:
        """Make the administrator ``USERNAME`` with ``PASSWORD``."""
        login = {"USERNAME": USERNAME, "EMAIL": "alice@example.org", "PASSWORD": PASSWORD}
        self.must("createsuperuser", "--noinput", env={f"DJANGO_SUPERUSER_{key}": value for key, value in login.items()})

    def login(self) -> httpx2.Client:
        """Return a client that is logged in as ``USERNAME``. The caller closes it."""
        client = httpx2.Client(base_url=self.base, timeout=60, trust_env=False)
        fields = {
            "username": USERNAME,
            "password": PASSWORD,
            "csrfmiddlewaretoken": csrf_token(client.get("/admin/login/").text),
        }
        answer = client.post("/admin/login/?next=/healthz", data=fields)
        assert answer.status_code == 302, f"{self.name} did not let {USERNAME} in: {answer.status_code}"
        return client

    def start_web(self) -> None:
        """Start gunicorn and wait until it is ready. Raises AssertionError with the end of its log."""
        super().start_web()
        try:
            eventually(lambda: self.why_not_ready() == "" or not self.web.running, timeout=60)
            assert self.web.running, f"ended with status {self.web.child.returncode if self.web.child else None}"
        except AssertionError as error:
            raise AssertionError(f"{self.name}: {error}; {self.why_not_ready()}\n{self.web.tail()}") from error


def csrf_token(html: str) -> str:
    """Return the token of the first form in ``html``."""
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert match, "there is no form with a token on this page"
    return match[1]


def each(replicas: Sequence[Replica], work: Callable[[Replica], object]) -> list[object]:
    """Do the work for all replicas at once; the first error is raised after all have ended."""
    with ThreadPoolExecutor(max(1, len(replicas))) as pool:
        return list(pool.map(work, replicas))


class Cluster:
    """Replicas under one folder. Whatever was started has ended when the ``with`` block is left, even by an error."""

    def __init__(self, folder: Path, interval: float = 2, **extra: str) -> None:
        self.folder, self.replicas = folder, list[Replica]()
        self.extra = {"EDGECMS_SYNC_INTERVAL": str(interval), "WEB_CONCURRENCY": "1", **extra}

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stop([process for replica in self.replicas for process in (replica.web, replica.worker)])
        if error is not None:
            for replica in self.replicas:
                print(f"--- {replica.name} web\n{replica.web.tail(40)}\n--- {replica.name} worker\n{replica.worker.tail(40)}")

    def make(self, node: str, role: str, farm: str = "", loc: str = "LON", **databases: str) -> Replica:
        """Make a replica with an empty folder on a free port; nothing runs. ``databases``: database_url, redis_url."""
        folder = self.folder / f"{node}-{loc}".lower()
        replica = Replica(node, loc, role, farm, folder, free_port(), **databases, extra=dict(self.extra))
        self.replicas.append(replica)
        return replica

    def add(self, node: str, role: str, farm: str = "", loc: str = "LON", **databases: str) -> Replica:
        """Make a replica as ``make`` does, migrate it and make its account."""
        replica = self.make(node, role, farm, loc, **databases)
        replica.must("migrate", "--verbosity", "0")
        replica.make_account()
        return replica

    def prepare(self, accounts: bool = False) -> None:
        """Bring all replicas that ``make`` made to where they can start: databases, keys exchanged, and accounts if wanted."""
        each(self.replicas, lambda replica: replica.must("migrate", "--verbosity", "0"))
        if accounts:
            each(self.replicas, lambda replica: replica.make_account())
        self.introduce()

    def introduce(self) -> None:
        """Exchange keys: the first master trusts everybody, everybody pins that master."""
        root = next(replica for replica in self.replicas if replica.role == "master")
        found = each(self.replicas, lambda replica: replica.command("sync_identity")["key"])
        keys = {replica.name: str(key) for replica, key in zip(self.replicas, found, strict=True)}

        def trust(replica: Replica) -> None:
            for other in self.replicas if replica is root else [root]:
                if other is not replica:
                    replica.trust(other, keys[other.name])

        each(self.replicas, trust)

    def start(self, workers: bool = True) -> None:
        """Start the web servers of all, and their sync workers unless told otherwise."""
        each(self.replicas, lambda replica: replica.start_web())
        for replica in self.replicas if workers else []:
            replica.start_worker()

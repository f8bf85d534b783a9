"""How soon is a commit on one edge of a farm visible on the other? Beside it, in the same run, one bare request that stores a record.

``python -m bench.farm [--redis] [--edits 100] [--rate 10] [--rounds 3] [--json]``; see docs/performance.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2

from bench.contestants import wsgi
from bench.measure import free_port, summary, wait_for
from bench.pull import machine
from deploy.local.installation import identify
from deploy.local.processes import Process, stop
from deploy.local.replica import TOP, Replica

PAGES = 20
LOOK = 0.001  # seconds between two looks at a database
LATE = 30.0  # seconds after which an edit counts as lost
IDLE = 5.0  # seconds over which the processor time of resting workers is taken
USER = {"USERNAME": "bench", "EMAIL": "bench@example.org", "PASSWORD": "tide-on-the-thames"}
WRITE = f"""
from content.models import Page, Section
section = Section.objects.create(title="News")
for number in range({PAGES}):
    print(Page.objects.create(title=f"Page {{number}}", section=section).token)
"""


class Farm:
    """A master and two edges of a farm, each with web server and worker. Sweeps are an hour apart: what travels, travels at once."""

    def __init__(self, root: Path, redis: str = "") -> None:
        extra = {"EDGECMS_SYNC_INTERVAL": "3600"}
        self.master, self.edge, self.other = (
            Replica(node, "BENCH", role, farm, root / node.lower(), free_port(), redis_url=redis, extra=extra)
            for node, role, farm in (("MASTER01", "master", ""), ("EDGE01", "edge", "bench"), ("EDGE02", "edge", "bench"))
        )
        self.all = (self.master, self.edge, self.other)
        self.pages: list[str] = []

    @property
    def processes(self) -> list[Process]:
        """Web servers and workers of all."""
        return [process for replica in self.all for process in (replica.web, replica.worker)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make the replicas, exchange keys, write the pages on one edge and wait until the others have them; in the end stop all."""
        for replica in self.all:
            replica.must("migrate", "--verbosity", "0")
        keys = {replica.name: str(identify(replica)) for replica in self.all}
        for other in (self.edge, self.other):
            self.master.trust(other, keys[other.name])
            other.trust(self.master, keys[self.master.name])
        self.edge.must("createsuperuser", "--noinput", env={f"DJANGO_SUPERUSER_{key}": value for key, value in USER.items()})
        try:
            for replica in self.all:
                replica.start_web()
            for replica in self.all:
                wait_for(f"{replica.url}/readyz")
                replica.start_worker()
            made = self.edge.manage("shell", "--verbosity", "0", "--no-imports", "-c", WRITE).stdout
            self.pages = [line for line in made.splitlines() if line.startswith(self.edge.name)]
            _until(lambda: all(_count(replica) == PAGES for replica in self.all))
            yield
        finally:
            stop(self.processes)

    def editor(self) -> httpx2.Client:
        """Return a client of the edge's API, logged in, on one kept-alive connection."""
        client = httpx2.Client(base_url=self.edge.url.replace("localhost", "127.0.0.1"), timeout=60, trust_env=False)
        fields = {
            "username": USER["USERNAME"],
            "password": USER["PASSWORD"],
            "csrfmiddlewaretoken": _token(client, "/admin/login/"),
        }
        answer = client.post("/admin/login/?next=/healthz", data=fields)
        if answer.status_code != 302:
            raise RuntimeError(f"{self.edge.name} lets nobody in: {answer.status_code}")
        client.headers["X-CSRFToken"] = _token(client, "/admin/")
        return client


def _token(client: httpx2.Client, path: str) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(path).text)
    if match is None:
        raise RuntimeError(f"there is no form at {path}")
    return match[1]


def _until(fact: Any) -> None:
    deadline = time.monotonic() + 60
    while not fact():
        if time.monotonic() > deadline:
            raise RuntimeError("the first pages do not arrive; see the logs of the workers")
        time.sleep(0.1)


def _database(replica: Replica) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{replica.folder / 'db.sqlite3'}?mode=ro", uri=True)


def _count(replica: Replica) -> int:
    with contextlib.closing(_database(replica)) as connection:
        return int(connection.execute("SELECT count(*) FROM content_page").fetchone()[0])


class Arrivals(threading.Thread):
    """Looks at the database of a replica, as any request there does, and notes when it holds each changeset of ``edge``.

    ``seconds``: for each, from the time that stands in it, which is taken just before its commit, to the look that found it.
    """

    def __init__(self, replica: Replica, edge: Replica) -> None:
        super().__init__(daemon=True)
        self.replica, self.edge = replica, edge
        self.seconds: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until ``ended``."""
        with contextlib.closing(_database(self.replica)) as connection:
            last = connection.execute("SELECT max(position) FROM sync_entry").fetchone()[0]
            version = None
            while not self.ended.is_set():
                now = connection.execute("PRAGMA data_version").fetchone()
                if now != version:
                    version = now
                    seen = time.time()
                    for position, ms, name in connection.execute(
                        "SELECT position, ms, name FROM sync_entry JOIN sync_chain ON sync_chain.id = chain_id WHERE position > ?",
                        [last],
                    ):
                        last = position
                        if name == self.edge.name:
                            self.seconds.append(seen - ms / 1000)
                time.sleep(LOOK)


def edits(farm: Farm, limit: str, count: int, rate: float) -> dict[str, list[float]]:
    """Save ``count`` edits on the edge, ``rate`` a second, and halfway between two of them send the limit its record.

    Returns seconds: ``edge`` and ``master``, until each held an edit; ``save``, of the request itself; ``limit``.
    """
    watches = {"edge": Arrivals(farm.other, farm.edge), "master": Arrivals(farm.master, farm.edge)}
    for watch in watches.values():
        watch.start()
    took: dict[str, list[float]] = {"save": [], "limit": []}
    start, step = time.monotonic() + 0.2, 1 / rate
    with contextlib.closing(farm.editor()) as editor, httpx2.Client(base_url=limit, trust_env=False) as bare:
        for number in range(count):
            body = {"title": f"Edit {number} at {time.time_ns()}"}
            path = f"/api/v1/pages/{farm.pages[number % PAGES]}/"
            took["save"].append(_at(start + number * step, lambda path=path, body=body: editor.patch(path, json=body)))
            record = json.dumps({"token": f"{number}-{time.time_ns()}", **body, "text": "x" * 700}).encode()
            took["limit"].append(_at(start + (number + 0.5) * step, lambda record=record: bare.post("/", content=record)))
    deadline = time.monotonic() + LATE
    while time.monotonic() < deadline and any(len(watch.seconds) < count for watch in watches.values()):
        time.sleep(0.05)
    for name, watch in watches.items():
        watch.ended.set()
        watch.join()
        if len(watch.seconds) < count:
            raise RuntimeError(f"{count - len(watch.seconds)} of {count} edits did not reach {watch.replica.name} ({name})")
    return took | {name: watch.seconds for name, watch in watches.items()}


def _at(moment: float, send: Any) -> float:
    """Send a request at ``moment``; return how many seconds it took."""
    time.sleep(max(0.0, moment - time.monotonic()))
    began = time.perf_counter()
    answer = send()
    took = time.perf_counter() - began
    if not answer.is_success:
        raise RuntimeError(
            f"{answer.request.method} {answer.request.url} was answered {answer.status_code}: {answer.text[:300]}"
        )
    return took


def processor_time(processes: Sequence[Process]) -> float:
    """Return the seconds of processor time that ``processes`` and what they forked have used so far. Needs Linux."""
    groups = {process.child.pid for process in processes if process.child is not None}
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found = file.read_text().rpartition(")")[2].split()
            ticks += int(found[11]) + int(found[12]) if int(found[2]) in groups else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def idle(farm: Farm) -> float:
    """Return the share of one processor that a worker uses which has nothing to do."""
    workers = [replica.worker for replica in farm.all]
    time.sleep(1)
    before = processor_time(workers)
    time.sleep(IDLE)
    return (processor_time(workers) - before) / IDLE / len(workers)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(root: Path, redis: str, count: int, rate: float, rounds: int) -> dict[str, Any]:
    """Run all rounds and return p50 and p99 of each, in milliseconds: median, min and max over the rounds."""
    limit = wsgi("limit", "bench.hop:app", root, ["/"], BENCH_DATABASE=str(root / "hop.sqlite3"))
    assert limit.process is not None
    farm, taken = Farm(root, redis), list[dict[str, list[float]]]()
    with farm.running():
        limit.process.start()
        try:
            wait_for(limit.url)
            before = {process.name: processor_time([process]) for process in farm.processes}
            for _ in range(rounds):
                taken.append(edits(farm, limit.url, count, rate))
            spent = {p.name: 1000 * (processor_time([p]) - before[p.name]) / count / rounds for p in farm.processes}
            resting = idle(farm)
        finally:
            stop([limit.process])
    shares = {"p50": 0.5, "p99": 0.99}
    figures = {
        name: {key: summary([1000 * percentile(one[name], share) for one in taken]) for key, share in shares.items()}
        for name in taken[0]
    }
    return {"figures": figures, "processor_ms": spent, "idle": resting}


@contextlib.contextmanager
def redis_server(root: Path) -> Iterator[str]:
    """Start a Redis of our own and yield its address."""
    binary, port = shutil.which("redis-server"), free_port()
    if binary is None:
        sys.exit("redis-server is not installed; on Debian: apt-get install redis-server")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Process("redis", command, os.environ, TOP, root / "redis.log")
    server.start()
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop([server])


NAMES = {
    "edge": "commit to visible on the other edge",
    "master": "commit to visible on the master",
    "save": "the save itself, by the API",
    "limit": "limit: one bare request and insert",
}


def table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    yield f"{result['queue']}; {result['rounds']} rounds of {result['edits']} edits, {result['rate']:g} a second; ms, median (min–max)"
    for name, label in NAMES.items():
        found = result["figures"][name]
        spans = ["{median:.0f} ({min:.0f}–{max:.0f})".format(**found[key]) for key in ("p50", "p99")]
        yield f"{label:40}p50{spans[0]:>18}   p99{spans[1]:>20}"
    spent = ", ".join(f"{name} {ms:.0f}" for name, ms in result["processor_ms"].items())
    yield f"ms of processor time of an edit, its save included: {sum(result['processor_ms'].values()):.0f} in all; {spent}"
    yield f"a worker with nothing to do uses {100 * result['idle']:.1f} % of a processor"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redis", action="store_true", help="messages by a Redis of its own instead of the embedded queue")
    parser.add_argument("--edits", type=int, default=100, help="edits of a round")
    parser.add_argument("--rate", type=float, default=10, help="edits a second")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as name, contextlib.ExitStack() as stack:
        root = Path(name)
        redis = stack.enter_context(redis_server(root)) if options.redis else ""
        found = measure(root, redis, options.edits, options.rate, options.rounds)
    queue = "Redis" if options.redis else "embedded queue"
    result = {"machine": about, "queue": queue, "edits": options.edits, "rate": options.rate, "rounds": options.rounds, **found}
    print(json.dumps(result) if options.json else "\n".join(table(result)))


if __name__ == "__main__":
    main()

"""How soon is a commit on one edge of a farm visible on the other? Beside it, in the same run, one bare request that stores a record.

``python -m bench.farm [--redis] [--edits 100] [--rate 10]``; see docs/performance.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2

from bench.contestants import wsgi
from bench.frame import Bench, CannotError, Measure, Options, Report, main
from bench.measure import free_port, wait_for
from bench.replicas import count, inside, introduction, make
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
        self.master, self.edge, self.other = (
            make(node, role, root / node.lower(), farm, EDGECMS_SYNC_INTERVAL="3600", REDIS_URL=redis)
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
        inside(self.master, "prepare", trust=[introduction(self.edge), introduction(self.other)])
        for other in (self.edge, self.other):
            inside(other, "prepare", trust=[introduction(self.master)])
        self.edge.must("createsuperuser", "--noinput", env={f"DJANGO_SUPERUSER_{key}": value for key, value in USER.items()})
        try:
            for replica in self.all:
                replica.start_web()
            for replica in self.all:
                wait_for(f"{replica.url}/readyz")
                replica.start_worker()
            made = self.edge.manage("shell", "--verbosity", "0", "--no-imports", "-c", WRITE).stdout
            self.pages = [line for line in made.splitlines() if line.startswith(self.edge.name)]
            _until(lambda: all(count(replica, "content_page") == PAGES for replica in self.all))
            yield
        finally:
            stop(self.processes)


def sign_in(replica: Replica) -> httpx2.Client:
    """Return a client of the replica's API, logged in as ``USER``, on one kept-alive connection."""
    client = httpx2.Client(base_url=replica.url.replace("localhost", "127.0.0.1"), timeout=60, trust_env=False)
    fields = {
        "username": USER["USERNAME"],
        "password": USER["PASSWORD"],
        "csrfmiddlewaretoken": _token(client, "/admin/login/"),
    }
    answer = client.post("/admin/login/?next=/healthz", data=fields)
    if answer.status_code != 302:
        raise RuntimeError(f"{replica.name} lets nobody in: {answer.status_code}")
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


def edits(farm: Farm, limit: str, many: int, rate: float) -> dict[str, list[float]]:
    """Save ``many`` edits on the edge, ``rate`` a second, and halfway between two of them send the limit its record.

    Returns seconds: ``edge`` and ``master``, until each held an edit; ``save``, of the request itself; ``limit``.
    """
    watches = {"edge": Arrivals(farm.other, farm.edge), "master": Arrivals(farm.master, farm.edge)}
    for watch in watches.values():
        watch.start()
    took: dict[str, list[float]] = {"save": [], "limit": []}
    start, step = time.monotonic() + 0.2, 1 / rate
    with contextlib.closing(sign_in(farm.edge)) as editor, httpx2.Client(base_url=limit, trust_env=False) as bare:
        for number in range(many):
            body = {"title": f"Edit {number} at {time.time_ns()}"}
            path = f"/api/v1/pages/{farm.pages[number % PAGES]}/"
            took["save"].append(_at(start + number * step, lambda path=path, body=body: editor.patch(path, json=body)))
            record = json.dumps({"token": f"{number}-{time.time_ns()}", **body, "text": "x" * 700}).encode()
            took["limit"].append(_at(start + (number + 0.5) * step, lambda record=record: bare.post("/", content=record)))
    deadline = time.monotonic() + LATE
    while time.monotonic() < deadline and any(len(watch.seconds) < many for watch in watches.values()):
        time.sleep(0.05)
    for name, watch in watches.items():
        watch.ended.set()
        watch.join()
        if len(watch.seconds) < many:
            raise RuntimeError(f"{many - len(watch.seconds)} of {many} edits did not reach {watch.replica.name} ({name})")
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


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def processor_time(process: Process) -> float:
    """Return the seconds of processor time that a program and what it forked have used so far; its threads that have ended count."""
    assert process.child is not None
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == process.child.pid else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def idle(farm: Farm) -> float:
    """Return the share of one processor that a worker uses which has nothing to do."""
    workers = [replica.worker for replica in farm.all]
    time.sleep(2)  # what is said a second after a change
    before = sum(map(processor_time, workers))
    time.sleep(IDLE)
    return (sum(map(processor_time, workers)) - before) / IDLE / len(workers)


def rounds(root: Path, redis: str, case: str, options: Options, report: Report) -> None:
    """Run all rounds with one kind of queue."""
    root.mkdir()
    limit = wsgi("limit", "bench.hop:app", root, ["/"], BENCH_DATABASE=str(root / "hop.sqlite3"))
    assert limit.process is not None
    farm = Farm(root, redis)
    spent = Counter[str]()
    with farm.running():
        limit.process.start()
        try:
            wait_for(limit.url)
            for number in range(1, options.rounds + 1):
                report.say(f"{case}, round {number}")
                before = {process.name: processor_time(process) for process in farm.processes}
                for name, seconds in edits(farm, limit.url, options.edits, options.rate).items():
                    report.take(case, NAMES[name], p50=percentile(seconds, 0.5), p99=percentile(seconds, 0.99))
                took = {process.name: processor_time(process) - before[process.name] for process in farm.processes}
                report.take(case, NAMES["edge"], processor=sum(took.values()) / options.edits)
                spent.update({name: seconds / options.edits / options.rounds for name, seconds in took.items()})
            if not options.quick:
                report.note(f"{case}: a worker with nothing to do uses {100 * idle(farm):.1f} % of a processor")
        finally:
            stop([limit.process])
    parts = ", ".join(f"{name.replace('-BENCH', '')} {1000 * seconds:.0f}" for name, seconds in spent.items())
    report.note(f"{case}: milliseconds of processor time of an edit, its save included: {parts}")


@contextlib.contextmanager
def redis_server(root: Path) -> Iterator[str]:
    """Start a Redis of our own and yield its address. Raises CannotError."""
    binary, port = shutil.which("redis-server"), free_port()
    if binary is None:
        raise CannotError("redis-server is not installed; on Debian: apt-get install redis-server")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Process("redis", command, os.environ, TOP, root / "redis.log")
    server.start()
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop([server])


def measure(options: Options, report: Report) -> None:
    """Run with the embedded queue, then with Redis."""
    what = f"{options.edits} edits, {options.rate:g} a second"
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as name:
        root = Path(name)
        if not options.redis:
            rounds(root / "embedded", "", f"embedded queue, {what}", options, report)
        try:
            with redis_server(root) as url:
                rounds(root / "redis", url, f"Redis, {what}", options, report)
        except CannotError as error:
            report.cannot("Redis", error)


NAMES = {
    "edge": "commit to visible on the other edge",
    "master": "commit to visible on the master",
    "save": "the save itself, by the API",
    "limit": "a bare request and insert",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--edits", type=int, default=100, help="edits of a round (%(default)s)")
    parser.add_argument("--rate", type=float, default=10, help="edits a second (%(default)g)")
    parser.add_argument("--redis", action="store_true", help="only with Redis for messages, not with the embedded queue")


BENCH = Bench(
    __doc__,
    measure,
    {
        "p50": Measure("ms", ".1f", scale=1000),
        "p99": Measure("ms", ".1f", scale=1000),
        "processor": Measure("ms", ".0f", scale=1000),
    },
    beside=(NAMES["limit"],),
    arguments=arguments,
    quick={"edits": 5},
)

if __name__ == "__main__":
    main(BENCH)

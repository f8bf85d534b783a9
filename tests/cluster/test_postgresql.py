"""What exists on PostgreSQL only: transactions that write at the same time, and a server that goes away and comes back."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.acts import LOOK, PUBLISH, Look, shows
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import LINES, MANAGE, Zygote, children, found_site
from tests.servers import PostgreSQL

pytestmark = [pytest.mark.cluster, pytest.mark.postgresql]

WRITERS, TRANSACTIONS = 5, 30
# Each transaction writes, lets others overtake it, writes again, and commits: so they commit in another order than they began.
WRITE = """
import random, time
from django.db import transaction
from content.models import Section
chance = random.Random(int(argv[0]))
for number in range(int(argv[1])):
    with transaction.atomic():
        first = Section.objects.create(title=f"Writer {argv[0]}, section {number}")
        time.sleep(chance.uniform(0, 0.02))
        Section.objects.create(title="Another", description=first.token)
    print(first.token, flush=True)
"""
CHAIN = """
from sync.models import Entry
chain = Entry.objects.filter(chain__name="MASTER01-LON", chain__scope="all")
answer = list(chain.order_by("seq", "position").values_list("seq", "position"))
"""


class Site(NamedTuple):
    """A master on a PostgreSQL of its own, and an edge that pulls from it; their web servers run."""

    server: PostgreSQL
    master: Zygote
    edge: Zygote
    web: int  # of the master


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """See ``Site``."""
    with ExitStack() as stack:
        server = PostgreSQL()
        stack.callback(server.close)
        server.start()
        cluster = stack.enter_context(Cluster(tmp_path_factory.mktemp("postgresql"), interval=1))
        replicas = (
            cluster.make("MASTER01", "master", database_url=server.database()),
            cluster.make("EDGE01", "edge", farm="thames"),
        )
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        web = master.web()
        edge.web()
        assert eventually(lambda: master.replica.get("/readyz").status_code == 200)
        assert eventually(lambda: edge.replica.get("/readyz").status_code == 200)
        yield Site(server, master, edge, web)


def test_a_reader_never_steps_over_what_commits_late(site: Site, tmp_path: Path) -> None:
    """Many write at once while somebody pulls all the time: numbers are committed in their order, without gap or fork."""
    logs = [tmp_path / f"writer-{number}.log" for number in range(WRITERS)]
    writers = [site.master.start(LINES, WRITE, str(number), str(TRANSACTIONS), log=log) for number, log in enumerate(logs)]
    pulls = 0
    while not all(map(site.master.has_ended, writers)):
        assert site.edge.report("sync_pull").code == 0
        pulls += 1
        numbers = [seq for seq, _ in site.edge.answer(CHAIN)]
        assert numbers == list(range(1, len(numbers) + 1)), "a number was stepped over, or given out twice"
    assert [site.master.wait(writer) for writer in writers] == [0] * WRITERS, [log.read_text()[-1500:] for log in logs]
    assert pulls >= 3
    assert site.edge.report("sync_pull").code == 0
    here, there = (Look(*zygote.answer(LOOK)) for zygote in (site.edge, site.master))
    assert here.log == there.log and here.status["digest"] == there.status["digest"]
    acknowledged = [token for log in logs for token in log.read_text().split()]
    assert len(acknowledged) == WRITERS * TRANSACTIONS
    assert set(acknowledged) <= here.rows["content.section"].keys()
    entries = site.master.answer(CHAIN)
    assert [seq for seq, _ in entries] == list(range(1, len(entries) + 1))
    assert [position for _, position in entries] == sorted(position for _, position in entries)


def test_a_server_that_is_away_is_told_of_at_once_and_found_again(site: Site) -> None:
    """Commands say so in one line, web and worker answer and wait; with the server back they go on, none of them started anew."""
    worker = site.master.start(MANAGE, "sync_worker")
    site.edge.start(MANAGE, "sync_worker")
    page = str(site.master.answer(PUBLISH, title="High water"))
    eventually(lambda: shows(site.edge.replica, page, "High water"))
    replica = site.master.replica
    site.server.kill()
    for command in ("sync_pull", "sync_status", "migrate"):
        start = time.monotonic()
        done = site.master.report(command)
        assert time.monotonic() - start < 5
        (line,) = done.stderr.strip().splitlines()
        assert done.code == 1 and "database_unavailable" in line and "does not answer" in line
    assert replica.get("/healthz").status_code == 200
    assert replica.get("/readyz").status_code == 503
    refused = replica.get("/api/v1/pages/")
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert replica.get("/admin/content-editor/page/").status_code in (302, 503)
    eventually(lambda: site.server.start() or True)
    eventually(lambda: replica.get("/readyz").status_code == 200, timeout=15)
    assert [replica.get("/api/v1/pages/").status_code for _ in range(10)] == [200] * 10
    late = str(site.edge.answer(PUBLISH, title="Low water"))
    eventually(lambda: shows(replica, late, "Low water"))
    assert not site.master.has_ended(worker) and not site.master.has_ended(site.web)
    assert [path.name for path in replica.folder.glob("*.log") if "Traceback" in path.read_text()] == []


def test_a_server_that_crashes_loses_nothing_that_was_acknowledged(site: Site, tmp_path: Path) -> None:
    """One of its processes is killed again and again while others write; the server starts over, and what was printed is there."""
    chance, log = random.Random(7), tmp_path / "writer.log"
    assert site.server.child is not None
    crashes = 0
    while crashes < 3:
        before = log.stat().st_size if log.exists() else 0
        writer = site.master.start(LINES, WRITE, str(crashes), "1000", log=log)
        eventually(lambda before=before: log.exists() and log.stat().st_size > before)  # type: ignore[misc]
        backends = [pid for pid in children(site.server.child.pid) if _serves(pid)]
        os.kill(chance.choice(backends), signal.SIGKILL)
        crashes += 1
        assert site.master.wait(writer) == 1  # its transaction was taken back, and it was told
        eventually(lambda: site.master.replica.get("/readyz").status_code == 200)
    assert site.edge.report("sync_pull").code == 0
    here = Look(*site.edge.answer(LOOK))
    acknowledged = [line for line in log.read_text().splitlines() if re.fullmatch(r"MASTER01-LON-\S+", line)]
    assert len(acknowledged) >= 3
    assert set(acknowledged) <= here.rows["content.section"].keys()
    assert here.status["digest"] == Look(*site.master.answer(LOOK)).status["digest"]


def _serves(pid: int) -> bool:
    return "idle" in (title := Path(f"/proc/{pid}/cmdline").read_text()) or "transaction" in title or "edgecms_" in title

"""A change travels at once and with few words, between real processes; and where nothing is new, that is said in one request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster, Replica, eventually
from tests.cluster.relay import Relay
from tests.cluster.zygote import MANAGE, Zygote, found_site

pytestmark = pytest.mark.cluster

WRITE = "from content.models import Section\nanswer = Section.objects.create(title=title).token"
MANY = (
    "from content.models import Section\nSection.objects.bulk_create([Section(title=f'S{n}') for n in range(1500)])\nanswer = 0"
)
HOLDS = "from content.models import Section\nanswer = Section.objects.filter(token=token).exists()"
SWEEP = """
from django.db import connection
from sync import sweep
statements = []
with connection.execute_wrapper(lambda execute, sql, *rest: (statements.append(sql), execute(sql, *rest))[1]):
    [result] = sweep.sweep()
answer = [result.as_json(), len(statements)]
"""


class Counted(Zygote):
    """A replica whose web server writes down what it was asked for."""

    def __init__(self, replica: Replica) -> None:
        self.file = replica.folder / "access"
        replica.extra["GUNICORN_CMD_ARGS"] = f"--access-logfile {self.file} --access-logformat '%(m)s %(U)s'"
        super().__init__(replica)

    def asked(self) -> Counter[str]:
        """Return how often each endpoint of replication was asked."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return Counter(line.replace("/sync/v1/", "") for line in lines if "/sync/v1/" in line)


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Counted]]:
    """A master and two edges of a farm that run; sweeps are an hour apart. All have seen what each of the others holds."""
    with Cluster(tmp_path_factory.mktemp("at-once"), interval=3600) as cluster:
        places = (
            cluster.make("MASTER01", "master"),
            cluster.make("EDGE01", "edge", farm="thames"),
            cluster.make("EDGE02", "edge", farm="thames"),
        )
        with Counted(places[0]) as master, Counted(places[1]) as edge, Counted(places[2]) as neighbour:
            site = [master, edge, neighbour]
            found_site(site)
            for zygote in site:
                zygote.web()
            for zygote in site:
                eventually(lambda z=zygote: z.replica.why_not_ready() == "", timeout=60)  # type: ignore[misc]
                zygote.start(MANAGE, "sync_worker")
            for zygote in (edge, neighbour):
                everywhere(site, str(zygote.answer(WRITE, title="First")))
            yield site


def everywhere(site: list[Counted], token: str) -> None:
    """Wait until all hold the section ``token``."""
    for zygote in site:
        eventually(lambda z=zygote: z.answer(HOLDS, token=token))  # type: ignore[misc]


def test_a_commit_is_one_request_to_a_neighbour_and_two_for_the_master(farm: list[Counted]) -> None:
    """The neighbour is handed what it lacks unasked; the master, to which an edge may not push, is woken, and pulls unasked.

    What each of the others then says to make sure is no more than a question.
    """
    _, edge, _ = farm
    everywhere(farm, str(edge.answer(WRITE, title="Settled")))
    eventually(lambda: quiet(farm))
    before = [zygote.asked() for zygote in farm]
    everywhere(farm, str(edge.answer(WRITE, title="High water")))
    eventually(lambda: quiet(farm))
    at_master, at_edge, at_neighbour = (zygote.asked() - old for zygote, old in zip(farm, before, strict=True))
    assert at_neighbour["POST push"] == 1 and at_master["POST wake"] >= 1 and at_edge["POST pull"] == 1
    everything = at_master + at_edge + at_neighbour
    assert everything["GET tips"] == 0 and everything["POST push"] == 1 and everything["POST pull"] <= 2
    assert everything.total() <= 8, everything


def quiet(farm: list[Counted]) -> bool:
    """Say whether nobody asked anything for longer than a relay waits."""
    before = [zygote.asked() for zygote in farm]
    for _ in range(3):
        farm[0].answer("import time\ntime.sleep(0.5)\nanswer = 0")
    return before == [zygote.asked() for zygote in farm]


def test_nothing_new_is_one_small_request_whatever_is_there(tmp_path: Path) -> None:
    """Pull and push together ask once, under a KiB each way, by as many statements with 1,500 rows as with one."""
    with Cluster(tmp_path, interval=3600) as cluster, Relay() as line:
        root = cluster.make("MASTER01", "master")
        line.target, root.extra["EDGECMS_URL"] = root.port, line.url
        with Counted(root) as master, Zygote(cluster.make("NODE01", "node")) as node:
            found_site([master, node])
            master.web()
            eventually(lambda: root.why_not_ready() == "", timeout=60)
            figures = []
            for grow in ("answer = 0", MANY):
                master.answer(grow)
                node.answer(WRITE, title="One")
                for _ in range(2):
                    node.answer(SWEEP)
                line.mend()
                before = master.asked()
                result, statements = node.answer(SWEEP)
                assert result["ok"] and not result["sent"] and not result["received"]
                eventually(lambda before=before: master.asked() - before == Counter({"GET hello": 1}), pause=0.01)
                figures.append((statements, line.asked, len(line.answered)))
            assert all(0 < asked < 1024 and 0 < answered < 1024 for _, asked, answered in figures), figures
            assert figures[0][0] == figures[1][0], figures


MANY_CHAINS = "from sync import conversation\nconversation.FEW = 0\n"
BESIDE = """
import threading
from sync import pulling
pulling._pulling.acquire()
threading.Timer(0.2, pulling._pulling.release).start()
"""


def test_who_only_pulls_asks_once_and_for_what_is_new_at_once(tmp_path: Path) -> None:
    """An edge that holds few chains says no hello, whether something is new or not; one of many says it first.

    And who finds that something is new while another pull runs waits for that, and asks again.
    """
    with Cluster(tmp_path, interval=3600) as cluster:
        root, place = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        with Counted(root) as master, Zygote(place) as edge:
            found_site([master, edge])
            master.web()
            eventually(lambda: root.why_not_ready() == "", timeout=60)
            edge.answer(SWEEP)
            eventually(master.asked, pause=0.01)
            for how, new, asked in (
                ("", 1, {"POST pull": 1}),
                ("", 0, {"POST pull": 1}),
                (MANY_CHAINS, 1, {"GET hello": 1, "POST pull": 1}),
                (MANY_CHAINS, 0, {"GET hello": 1}),
                (BESIDE, 1, {"POST pull": 2}),
                (BESIDE, 0, {"POST pull": 1}),
            ):
                for _ in range(new):
                    master.answer(WRITE, title="News")
                before = master.asked()
                result, _ = edge.answer(how + SWEEP)
                assert result["ok"] and result["applied"] == new, (how, result)
                eventually(lambda before=before, asked=asked: master.asked() - before == Counter(asked), pause=0.01)

"""An edge at 2099, mended, and one 20 minutes slow, over HTTP: what they write reaches everybody, and nobody holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cluster.acts import LOOK, Look
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import Zygote, introduce

pytestmark = pytest.mark.cluster

YEARS = 73 * 365 * 24 * 3600
# A process whose clock is off by so many seconds, as all of a machine's are.
OFF = """
import time
real, off = time.time_ns, int(seconds) * 10**9
time.time_ns = lambda: real() + off
"""
WRITE = f"{OFF}\nfrom content.models import Section\nanswer = Section.objects.create(title=title).token"
EDIT = f"{OFF}\nfrom content.models import Section\nanswer = Section.objects.filter(pk=token).update(title=title)"
TITLES = "from content.models import Section\nanswer = sorted(Section.objects.values_list('title', flat=True))"


@pytest.fixture
def site(tmp_path) -> Iterator[tuple[Zygote, Zygote]]:
    """A master and an edge whose web servers run."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path))
        made = [cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", "thames")]
        master, edge = (stack.enter_context(Zygote(replica)) for replica in made)
        for zygote in (master, edge):
            zygote.must("migrate", "--verbosity", "0")
        introduce(master, [edge])
        for zygote in (master, edge):
            zygote.web()
        for zygote in (master, edge):
            eventually(lambda zygote=zygote: zygote.replica.why_not_ready() == "", timeout=60)
        edge.must("sync_pull")
        yield master, edge


def test_an_edge_at_2099_is_mended_by_its_next_exchange(site: tuple[Zygote, Zygote]) -> None:
    """Its writes wait at the master until its clock is right and it has met somebody; then they are there, under today's time."""
    master, edge = site
    token = edge.answer(WRITE, title="Before", seconds=0)
    edge.answer(EDIT, token=token, title="Edited in 2099", seconds=YEARS)
    edge.answer(WRITE, title="Made in 2099", seconds=YEARS)
    master.must("sync_pull")
    assert master.answer(TITLES) == ["Before"]
    before = edge.replica.command("sync_status")["replica"]["origin"]
    edge.must("sync_pull")
    edge.answer(WRITE, title="Today", seconds=0)
    master.must("sync_pull")
    edge.must("sync_pull")
    found = [Look(*zygote.answer(LOOK)) for zygote in site]
    assert master.answer(TITLES) == ["Edited in 2099", "Made in 2099", "Today"]
    assert found[0].rows == found[1].rows
    assert found[0].status["digest"] == found[1].status["digest"]
    assert [(look.status["held"], look.status["conflicts"]) for look in found] == [(0, 0), (0, 0)]
    assert found[1].status["replica"]["origin"] != before


def test_an_edit_under_a_slow_clock_is_everywhere_at_once(site: tuple[Zygote, Zygote]) -> None:
    """20 minutes behind, over something that the edge has just received: shown there and at the master, with no conflict."""
    master, edge = site
    token = master.answer(WRITE, title="By the master", seconds=0)
    edge.must("sync_pull")
    edge.answer(EDIT, token=token, title="By the edge", seconds=-20 * 60)
    assert edge.answer(TITLES) == ["By the edge"]
    master.must("sync_pull")
    assert master.answer(TITLES) == ["By the edge"]
    assert master.replica.command("sync_status")["conflicts"] == 0

"""Pushes over a line that breaks anywhere: what the peer took is kept, the next push brings the rest, nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.cluster.acts import LOOK, Look, differences, media
from tests.cluster.harness import Cluster, eventually
from tests.cluster.relay import Relay
from tests.cluster.zygote import KEY, Zygote, found_site

pytestmark = pytest.mark.cluster

WRITE = """
import io, random
from content.models import Asset, Section
from sync import blobs
for number in range(40):
    Section.objects.create(title=f"Section {number}", description=random.randbytes(2_000).hex())
digest, size = blobs.put(io.BytesIO(random.randbytes(2_500_000)))
Asset.objects.create(title="Film", filename="film.bin", digest=digest, size=size, content_type="application/octet-stream")
answer = digest
"""


class Line(NamedTuple):
    """A master that reaches an edge through ``relay`` only; no workers run."""

    relay: Relay
    master: Zygote
    edge: Zygote


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """See ``Line``."""
    with ExitStack() as stack:
        relay = stack.enter_context(Relay())
        cluster = stack.enter_context(Cluster(tmp_path_factory.mktemp("push")))
        replicas = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        entry = ["--role", "edge", "--farm", "thames", "--url", relay.url, "--key", edge.answer(KEY)]
        master.must("sync_trust", replicas[1].name, *entry)
        relay.target = replicas[1].port
        edge.web()
        assert eventually(lambda: replicas[1].get("/readyz").status_code == 200)
        yield Line(relay, master, edge)


def alike(line: Line) -> None:
    """Assert that both hold the same, each thing once."""
    here, there = (Look(*zygote.answer(LOOK)) for zygote in (line.edge, line.master))
    assert here.log == there.log and len(set(here.log)) == len(here.log)
    assert here.status["digest"] == there.status["digest"]
    assert differences(here.rows, there.rows) == []
    assert media(line.edge.replica) == media(line.master.replica)


def test_a_push_cut_anywhere_is_gone_on_with(line: Line) -> None:
    """In a question, in the changesets, between and in the pieces of a file: the pusher is told, and the next push completes it."""
    line.master.answer(WRITE)
    line.relay.mend()
    assert line.master.report("sync_push").code == 0
    whole = line.relay.asked
    assert whole > 2_500_000
    alike(line)
    for part in (0.0, 0.0005, 0.01, 0.03, 0.3, 0.7, 0.99):
        line.master.answer(WRITE)
        line.relay.cut_requests(int(part * whole))
        pushed = line.master.report("sync_push")
        assert pushed.code == 1, part
        assert "EDGE01-LON: peer_unavailable" in pushed.stderr and "Traceback" not in pushed.stderr
        line.relay.mend()
        assert line.master.report("sync_push").code == 0
        if part > 0.6:  # what came of the file was not sent again
            assert line.relay.asked < whole * 0.7
        alike(line)


def test_an_answer_that_is_lost_makes_nothing_come_twice(line: Line) -> None:
    """The peer took it and could not say so: pushed again, it is known there already."""
    for after in (400, 900, 1500):
        line.master.answer(WRITE)
        line.relay.cut(after)
        line.master.report("sync_push")
        line.relay.mend()
        assert line.master.report("sync_push").code == 0
        alike(line)

"""An editor's save comes between two batches of a large pull, however many are still to come; by processes that write one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster
from tests.cluster.zygote import LINES, Zygote
from tests.servers import PostgreSQL, eventually

pytestmark = pytest.mark.cluster

EACH, BATCHES, SAVES = 25, 200, 12
# The pull says when each of its batches began, by the clock that all processes of a machine share.
PULL = f"""
import time
from sync import batches, receive
from tests.sync.origins import Origin, framed, title
batches.FIRST = batches.MOST = {EACH}
batches.SECONDS = batches.PATIENCE = 60
origin = Origin("EDGE07-LON").trust_here()
made = [origin.make(title(f"EDGE07-LON-43AX-{{number:08}}-221126143015", f"Row {{number}}")) for number in range({EACH * BATCHES})]
begun, take = open(argv[0], "w", buffering=1), receive._Inbox.take
receive._Inbox.take = lambda self, frames: print(time.monotonic_ns(), file=begun) or take(self, frames)
receive.receive(framed(*made[start:start + {EACH}]) for start in range(0, len(made), {EACH}))
"""
# When each save was asked for, and when it had the turn.
SAVE = f"""
import time
from django.db import transaction
from content.models import Section
from sync import local
answer = []
for number in range({SAVES}):
    time.sleep(0.02)
    Section.objects.exists()
    asked = time.monotonic_ns()
    with transaction.atomic():
        local.take_turn()
        answer.append([asked, time.monotonic_ns()])
        Section.objects.create(title=f"Saved {{number}}")
"""
COUNT = "from sync.models import Entry\nanswer = Entry.objects.filter(chain__name='EDGE07-LON').count()"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Zygote]:
    """A replica on either database."""
    url = ""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql_server")
        url = server.database()
    with Cluster(tmp_path) as cluster, Zygote(cluster.make("MASTER01", "master", database_url=url)) as zygote:
        zygote.must("migrate", "--verbosity", "0")
        yield zygote


def test_a_save_waits_for_no_more_than_the_batch_under_way_and_one_more(replica: Zygote) -> None:
    """Of the batches of a pull, at most two begin after a save was asked for and before it has the turn: every time.

    Though a pull goes on from batch to batch in one transaction, it ends that where somebody waits.
    """
    times, log = replica.scratch / "times", replica.scratch / "pull.log"
    pull = replica.start(LINES, PULL, str(times), log=log)
    eventually(times.read_text, pause=0.001)
    saves = replica.answer(SAVE)
    assert replica.wait(pull) == 0, log.read_text()[-2000:]
    assert replica.answer(COUNT) == EACH * BATCHES
    begun = [int(line) for line in times.read_text().split()]
    meanwhile = [sum(asked < time < had for time in begun) for asked, had in saves if had < begun[-1]]
    assert len(meanwhile) >= SAVES // 2, f"the pull was over before the saves: {begun[-1]} {saves}"
    assert max(meanwhile) <= 2, meanwhile

"""An editor's save comes between two batches of a large pull, however many are still to come; by processes that write one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster
from tests.cluster.zygote import LINES, Zygote
from tests.servers import PostgreSQL

pytestmark = pytest.mark.cluster

EACH, BATCHES, SAVES = 25, 60, 12
PULL = f"""
from sync import batches
from sync.models import Entry
from sync.receive import receive
from tests.sync.origins import Origin, framed, title
batches.FIRST = batches.MOST = {EACH}
batches.SECONDS = 60
origin = Origin("EDGE07-LON").trust_here()
made = [origin.make(title(f"EDGE07-LON-43AX-{{number:08}}-221126143015", f"Row {{number}}")) for number in range({EACH * BATCHES})]
receive(framed(*made[start:start + {EACH}]) for start in range(0, len(made), {EACH}))
"""
# What is seen before a save, and where the save then stands: what lies between came from the pull after the save was asked for.
SAVE = f"""
import time
from content.models import Section
from sync.models import Entry
began = Entry.objects.count()
while Entry.objects.count() < began + {2 * EACH}:
    time.sleep(0.001)
answer = []
for number in range({SAVES}):
    seen = Entry.objects.order_by("-position").values_list("position", flat=True).first()
    Section.objects.create(title=f"Saved {{number}}")
    own = Entry.objects.filter(chain__name="MASTER01-LON", chain__scope="all").order_by("-position").first()
    last = Entry.objects.order_by("-position").values_list("position", flat=True).first()
    answer.append([own.position - seen - 1, last])
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
    """Of all that the pull brings after a save was asked for, at most two batches stand before it in the log: every time.

    Without turns the pull, which gives the lock back and wants it again, mostly has it for many batches on end.
    """
    pull = replica.start(LINES, PULL, log=replica.scratch / "pull.log")
    found = replica.answer(SAVE)
    assert replica.wait(pull) == 0, (replica.scratch / "pull.log").read_text()[-2000:]
    assert replica.answer(COUNT) == EACH * BATCHES
    before = [between for between, last in found if last < EACH * BATCHES]
    assert len(before) >= SAVES // 2, f"the pull was over before the saves: {found}"
    assert max(before) <= 2 * EACH, found

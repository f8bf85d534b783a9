"""Compaction among real replicas: what one has dropped, or somebody on the way has taken out, reaches everybody all the same."""

from __future__ import annotations

import pytest

from tests.cluster.acts import look_at, orm, pull
from tests.cluster.harness import Cluster, Replica

pytestmark = pytest.mark.cluster

EDITS = """
from content.models import Section
section = Section.objects.create(title="Edited", description="version 0 " + "x" * 80)
for number in range(1, count):
    section.description = f"version {number} " + "x" * 80
    section.save()
answer = section.token
"""
SHOWN = "from content.models import Section; answer = Section.objects.get(pk=token).description"
STRIP = """
from django.db import transaction
from sync import log
from sync.models import Segment
with transaction.atomic():
    for number in list(Segment.objects.values_list("pk", flat=True)):
        held = [c if c.head.scope == "trust" else c.with_values({}) for c in log.segment(number)]
        log.repack([number], held)
"""
HISTORY = """
from sync.history import history
from sync.registers import RowKey
answer = [[write.value, write.is_dropped] for write in history(RowKey("content.section", token), "description")]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A master and three edges of one farm; what the first edge wrote has reached the master."""
    with Cluster(tmp_path_factory.mktemp("compaction")) as cluster:
        master, one, two, three = (
            cluster.make(node, "master" if node == "MASTER01" else "edge", "" if node == "MASTER01" else "thames")
            for node in ("MASTER01", "EDGE01", "EDGE02", "EDGE03")
        )
        cluster.prepare()
        for replica in (master, one, two):
            replica.start_web()
        for edge in (one, two, three):
            pull(edge, master.name)  # whom to trust; there is nothing else yet
        token = orm(one, EDITS, count=12)
        yield master, one, two, three, token


def compact(replica: Replica) -> dict[str, object]:
    """Run ``sync_compact`` and return its report."""
    report: dict[str, object] = replica.command("sync_compact")
    return report


def test_a_value_that_was_taken_out_on_the_way_is_fetched_from_who_has_it(site):
    """The master gets heads first from a relay that hands out no values; at its origin tips are equal, and the values come."""
    master, one, two, _, token = site
    pull(two, one.name)
    orm(two, STRIP)
    pull(master, two.name)
    assert master.command("sync_status")["values_missing"] == 12
    taken = pull(master, one.name)[one.name]
    assert (taken["ok"], taken["received"]) == (True, 0)
    assert master.command("sync_status")["values_missing"] == 0
    assert orm(master, SHOWN, token=token) == "version 11 " + "x" * 80
    # The relay shows its rows still; what it lacks of them it asks for as soon as it has to show them again.
    assert two.manage("sync_verify", "--repair", parse=True).answer["ok"]
    pull(two, master.name)
    assert orm(two, SHOWN, token=token) == "version 11 " + "x" * 80


def test_a_new_edge_starts_from_a_compacted_one(site):
    """It holds the same digest as everybody, wants nothing, and history brings back what was dropped."""
    master, one, _, three, token = site
    pull(one, master.name)
    report = compact(one)
    assert (report["values_dropped"], report["masters"]) == (11, [master.name])
    assert compact(one)["values_dropped"] == 0
    taken = pull(three, one.name)[one.name]
    assert taken["ok"] and taken["received"] >= 12
    assert three.command("sync_status")["values_missing"] == 0
    assert orm(three, SHOWN, token=token) == "version 11 " + "x" * 80
    looks = look_at([master, one, three])
    assert len({look.status["digest"] for look in looks}) == 1
    assert looks[0].log == looks[1].log == looks[2].log
    history = orm(one, HISTORY, token=token)
    assert [value for value, _ in history] == [f"version {number} " + "x" * 80 for number in range(12)]
    assert compact(one)["values_dropped"] == 11


def test_a_master_refuses_to_compact(site):
    """With the code and the reason."""
    answer = site[0].manage("sync_compact", parse=True)
    assert (answer.code, answer.answer["error"]["code"]) == (1, "not_allowed")

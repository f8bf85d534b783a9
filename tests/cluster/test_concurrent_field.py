"""One field written at two edges at once: everybody shows the same, the other value is not lost, and one decision is for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.acts import look_at, orm, pull
from tests.cluster.harness import Cluster, Replica, each

pytestmark = pytest.mark.cluster

SIBLINGS = """
from sync.core.register import Row
from sync.models import Register
from sync.registers import RowKey
from sync.values import Values
row = Row.decode(bytes(Register.objects.get(model="content.section", token=token).state))
values = Values()
answer = sorted(values.value(RowKey("content.section", token), "title", dot) for dot in row.heads["title"])
"""
MAKE = """
from content.models import Section
answer = [Section.objects.create(title=title).token for title in ("One field", "Two fields")]
"""
MAKE_TEXT = """
from content.models import Section
answer = [Section.objects.create(title="Text", description="The tide turns.\\nBring boots.").token]
"""
WRITE = """
from content.models import Section
for token, fields in changes.items():
    section = Section.objects.get(pk=token)
    for name, value in fields.items():
        setattr(section, name, value)
    section.save()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """A master and two edges of a farm that serve, and exchange only when they are told to."""
    with Cluster(tmp_path_factory.mktemp("concurrent")) as cluster:
        cluster.make("MASTER01", "master")
        cluster.make("EDGE01", "edge", farm="thames")
        cluster.make("EDGE02", "edge", farm="thames")
        cluster.prepare()
        cluster.start(workers=False)
        yield cluster.replicas


DECIDE = """
from sync import conflicts, resolving
found = conflicts.find("content.section", token, "title")
[other] = [version for version in found.versions if not version.shown]
resolving.take(found.model, found.token, found.field, other.dot, found.seen)
answer = other.value
"""


def test_both_values_survive_and_everybody_shows_the_same(site: list[Replica]) -> None:
    """After the exchange all three show one of the two values, hold the other, count one conflict, and have equal digests."""
    master, *edges = site
    same, apart = orm(master, MAKE)
    each(edges, lambda edge: pull(edge, master.name))
    changes = [
        {same: {"title": "Ebb"}, apart: {"title": "Renamed"}},
        {same: {"title": "Flood"}, apart: {"description": "Described"}},
    ]
    pairs = dict(zip((edge.name for edge in edges), changes, strict=True))
    each(edges, lambda edge: orm(edge, WRITE, changes=pairs[edge.name]))

    edges[0].command("sync_push", edges[1].name)
    edges[1].command("sync_push", edges[0].name)
    pull(master)

    looks = look_at(site)
    assert len({look.status["digest"] for look in looks}) == 1
    assert looks[0].log == looks[1].log == looks[2].log
    shown = [look.rows["content.section"] for look in looks]
    assert len({state[same]["title"] for state in shown}) == 1 and shown[0][same]["title"] in ("Ebb", "Flood")
    assert {(state[apart]["title"], state[apart]["description"]) for state in shown} == {("Renamed", "Described")}
    assert each(site, lambda replica: orm(replica, SIBLINGS, token=same)) == [["Ebb", "Flood"]] * 3
    assert [look.status["conflicts"] for look in looks] == [1, 1, 1]


def test_what_one_edge_decides_is_decided_everywhere(site: list[Replica]) -> None:
    """Every replica lists the conflict with both values; an edge takes the one that is not shown; then nobody has a conflict."""
    master, *edges = site
    listed = each(site, lambda replica: replica.command("sync_conflicts")["conflicts"])
    assert listed[0] == listed[1] == listed[2]
    [found] = listed[0]
    assert {found["shown"]["value"], *(other["value"] for other in found["others"])} == {"Ebb", "Flood"}

    taken = orm(edges[1], DECIDE, token=found["token"])
    edges[1].command("sync_push", edges[0].name)
    pull(master)

    looks = look_at(site)
    assert len({look.status["digest"] for look in looks}) == 1
    assert {look.rows["content.section"][found["token"]]["title"] for look in looks} == {taken}
    assert [look.status["conflicts"] for look in looks] == [0, 0, 0]


def test_two_edges_that_change_one_text_in_two_places_are_both_right(site: list[Replica]) -> None:
    """Every replica shows both changes, though none wrote them down together; nobody is asked."""
    master, *edges = site
    [token] = orm(master, MAKE_TEXT)
    each(edges, lambda edge: pull(edge, master.name))
    texts = dict(
        zip((edge.name for edge in edges), ("The ebb begins.\nBring boots.", "The tide turns.\nBring a hat."), strict=True)
    )
    each(edges, lambda edge: orm(edge, WRITE, changes={token: {"description": texts[edge.name]}}))

    edges[0].command("sync_push", edges[1].name)
    edges[1].command("sync_push", edges[0].name)
    pull(master)

    looks = look_at(site)
    assert {look.rows["content.section"][token]["description"] for look in looks} == {"The ebb begins.\nBring a hat."}
    assert len({look.status["digest"] for look in looks}) == 1
    assert [look.status["conflicts"] for look in looks] == [0, 0, 0]

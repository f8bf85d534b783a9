"""Two masters that are told to trust each other are one site: one root, one list, whoever enters or revokes."""

import pytest

from tests.cluster.acts import orm
from tests.cluster.harness import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two masters, introduced both ways, and an edge that only the first has entered."""
    with Cluster(tmp_path_factory.mktemp("masters")) as cluster:
        first, second = cluster.add("MASTER01", "master"), cluster.add("MASTER02", "master")
        edge = cluster.add("EDGE01", "edge", "thames")
        keys = {replica.name: str(replica.command("sync_identity")["key"]) for replica in cluster.replicas}
        first.trust(second, keys[second.name])
        second.trust(first, keys[first.name])
        first.trust(edge, keys[edge.name])
        edge.trust(first, keys[first.name])
        cluster.start(workers=False)
        yield first, second, edge


def exchange(*replicas):
    """Let each pull from all, twice, so that what came on the way goes on; return their states."""
    for _ in range(2):
        for replica in replicas:
            replica.manage("sync_pull", parse=True)
    return [replica.command("sync_status") for replica in replicas]


def test_both_write_and_everybody_holds_the_same(site):
    """Pages of either reach the other, and the edge, which has pinned the first only."""
    first, second, edge = site
    for replica in (first, second):
        orm(replica, f"from content.models import Section; Section.objects.create(title='By {replica.name}')")
    states = exchange(first, second, edge)
    assert len({state["digest"] for state in states}) == 1
    assert [state["quarantined"] for state in states] == [0, 0, 0]
    assert {peer["name"] for peer in states[2]["peers"]} == {"MASTER01-LON", "MASTER02-LON"}


def test_a_revocation_by_the_second_master_is_everybodys(site):
    """The list is one: what one of them revokes is off it everywhere."""
    first, second, edge = site
    orm(edge, "from content.models import Section; Section.objects.create(title='Rogue')")
    exchange(second, first)
    assert second.command("sync_revoke", edge.name, "--from", "1")["quarantined"] == 1
    states = exchange(first, second)
    assert [state["quarantined"] for state in states] == [1, 1]
    assert states[0]["digest"] == states[1]["digest"]
    assert [[peer["name"] for peer in state["peers"]] for state in states] == [["MASTER02-LON"], ["MASTER01-LON"]]
    pulled = edge.manage("sync_pull", parse=True)
    assert pulled.code == 1
    assert {peer["error"]["code"] for peer in pulled.answer["peers"]} == {"replica_revoked"}


def test_the_second_master_cannot_revoke_the_root(site):
    """It is told so, and nothing changes."""
    first, second, _ = site
    refused = second.manage("sync_revoke", first.name, parse=True)
    assert (refused.code, refused.answer["error"]["code"]) == (1, "not_allowed")

"""Coming in by a one-time code: the same as sync_trust on both sides, in one step each."""

import base64

import orjson
import pytest

from deploy.local.replica import CommandError
from tests.cluster.harness import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A master that serves, and edges that nobody knows yet."""
    with Cluster(tmp_path_factory.mktemp("join")) as made:
        made.add("MASTER01", "master").start_web()
        for node in ("EDGE01", "EDGE02", "EDGE03"):
            made.add(node, "edge", "thames")
        yield made


def invite(cluster, *options):
    """Return a fresh code."""
    return str(cluster.replicas[0].command("sync_invite", "--role", "edge", "--farm", "thames", *options)["code"])


def refusal(replica, code):
    """Try to join and return the error's code."""
    with pytest.raises(CommandError) as caught:
        replica.command("sync_join", code)
    return str(caught.value)


def test_a_code_lets_one_replica_in_once(cluster):
    """The edge is trusted and pins the root; a second one cannot use the same code."""
    master, edge, other, _ = cluster.replicas
    code = invite(cluster)
    assert edge.command("sync_join", code)["joined"] == "MASTER01-LON"
    assert [peer["ok"] for peer in edge.command("sync_pull")["peers"]] == [True]
    assert [peer["name"] for peer in master.command("sync_status")["peers"]] == ["EDGE01-LON"]
    assert "invite_invalid" in refusal(other, code)
    assert edge.command("sync_join", code)["joined"] == "MASTER01-LON", "a join whose answer was lost may be repeated"


def test_a_code_that_has_expired_lets_nobody_in(cluster):
    """An old code in somebody's mail is worth nothing."""
    assert "invite_invalid" in refusal(cluster.replicas[2], invite(cluster, "--minutes", "0.0001"))


def test_a_code_that_was_made_up_lets_nobody_in(cluster):
    """The secret is compared, not believed."""
    fields = orjson.loads(base64.urlsafe_b64decode(invite(cluster) + "=="))
    forged = base64.urlsafe_b64encode(orjson.dumps([*fields[:-1], "guessed"])).decode()
    assert "invite_invalid" in refusal(cluster.replicas[2], forged)
    assert "invite_invalid" in refusal(cluster.replicas[2], "nonsense")


def test_a_code_for_another_role_is_refused_before_anything_is_sent(cluster):
    """The new replica sees that the code is not for it."""
    code = str(cluster.replicas[0].command("sync_invite", "--role", "node", "--farm", "thames")["code"])
    assert "needs_operator" in refusal(cluster.replicas[3], code)


def test_only_a_master_gives_out_codes(cluster):
    """Edges let nobody in."""
    with pytest.raises(CommandError, match="not_allowed"):
        cluster.replicas[1].command("sync_invite", "--role", "edge", "--farm", "thames")

"""A replica that reaches nobody works on: it starts, serves, lets editors write and publish, and says what is only there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.acts import differences, look, look_at, publish, publish_by_form, pull, shows
from tests.cluster.harness import Cluster, Replica
from tests.content.editing import form_of

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two edges of a farm; the first edge has pulled a published page, then all went down."""
    with Cluster(tmp_path_factory.mktemp("alone")) as cluster:
        master, edge, _ = (
            cluster.make("MASTER01", "master"),
            cluster.make("EDGE01", "edge", farm="thames"),
            cluster.make("EDGE02", "edge", farm="thames"),
        )
        cluster.prepare()
        edge.make_account()
        publish(master, "High water")
        master.start_web()
        pull(edge, master.name)
        master.stop()
        yield cluster


def test_an_edge_alone_works_on_and_everything_arrives_later(cluster: Cluster) -> None:
    """What was written and published while nobody was reachable is served at once, counted as only here, and lost nowhere."""
    master, edge, neighbour = cluster.replicas
    edge.start_web()
    with contextlib.closing(edge.login()) as client:
        path = publish_by_form(client, "Low water")
        assert shows(edge, path, "Low water")
        edited = page_of(edge, "High water")
        form = form_of(client, f"/admin/content-editor/page/{edited['slug']}")  # type: ignore[arg-type]
        form |= {"title": "Slack water", "_publish": ""}
        assert client.post(f"/admin/content-editor/page/{edited['slug']}", data=form).status_code == 302
    assert "Slack water" in edge.get("/").text
    assert edge.command("sync_status")["only_here"] > 0

    outcome = edge.manage("sync_pull", parse=True)
    assert outcome.code == 1
    assert {peer["name"]: peer["error"]["code"] for peer in outcome.answer["peers"]} == {
        master.name: "peer_unavailable",
        neighbour.name: "peer_unavailable",
    }
    assert sorted(line.split(":")[0] for line in outcome.stderr.strip().splitlines()) == [neighbour.name, master.name]
    assert sum(peer["seconds"] for peer in outcome.answer["peers"]) < 10
    assert all(peer["error"]["code"] == "peer_unavailable" for peer in edge.command("sync_status")["peers"])

    master.start_web()
    pull(master, edge.name)
    assert shows(master, path, "Low water")
    assert "Slack water" in master.get("/").text
    here, there = look_at([edge, master])
    assert differences(here.rows, there.rows) == [] and here.log == there.log
    pull(edge, master.name)
    assert edge.command("sync_status")["only_here"] == 0


def page_of(replica: Replica, title: str) -> dict[str, str]:
    """Return the row of the page with this title."""
    return next(row for row in look(replica).rows["content.page"].values() if row["title"] == title)


def test_a_replica_starts_without_having_met_anybody(tmp_path: Path) -> None:
    """An edge whose pinned master was never reached starts, serves its own home page and lets its editor in."""
    with Cluster(tmp_path) as cluster:
        edge = cluster.add("EDGE07", "edge", farm="thames")
        edge.start_web()
        assert edge.get("/").status_code == 200
        with contextlib.closing(edge.login()) as client:
            assert client.get("/admin/content-editor/page/").status_code == 200

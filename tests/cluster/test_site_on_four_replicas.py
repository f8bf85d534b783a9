"""A whole site on four replicas: the same rows, the same publications, the same media, byte for byte."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.acts import SAMPLE, differences, digest, log, media, pull, rows
from tests.cluster.harness import Cluster, Replica, each
from tests.servers import PostgreSQL

pytestmark = pytest.mark.cluster

# A folder with posts/ and assets/: a larger site than the sample, where there is one.
CORPUS = Path(os.environ.get("EDGECMS_IMPORT_CORPUS") or SAMPLE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """A master that imported the posts, a node and two edges of two farms that pulled them."""
    with Cluster(tmp_path_factory.mktemp("site")) as cluster:
        cluster.make("MASTER01", "master")
        cluster.make("NODE01", "node", farm="thames")
        cluster.make("EDGE01", "edge", farm="thames")
        cluster.make("EDGE02", "edge", farm="severn", loc="WLS")
        yield grown(cluster, CORPUS)


def grown(cluster: Cluster, corpus: Path) -> list[Replica]:
    """Import ``corpus`` on the first replica of ``cluster`` and let the others pull it; return all of them, serving."""
    cluster.prepare()
    cluster.start(workers=False)
    master, *others = cluster.replicas
    report = master.command("import_pages", str(corpus))
    assert report["failed"] == [] and report["pages"] == len(list((corpus / "posts").glob("*.md"))) > 0
    for answers in each(others, lambda replica: pull(replica, master.name)):
        assert answers[master.name]["applied"] == answers[master.name]["received"] >= report["pages"]  # type: ignore[index]
    return cluster.replicas


def assert_all_hold_the_same(site: list[Replica]) -> None:
    """Compare rows field by field, logs, media and digests of all replicas with those of the first."""
    master, *others = site
    there, names, files = rows(master), log(master), media(master)
    assert len(there["content.publication"]) == len(there["content.page"]) > 0 and len(files) > 0
    assert {asset["digest"] for asset in there["content.asset"].values()} == {path.split("/")[1] for path in files}
    for replica in others:
        assert differences(rows(replica), there) == []
        assert media(replica) == files
        assert log(replica) == names
    states = [replica.command("sync_status") for replica in site]
    assert len({state["digest"] for state in states}) == 1
    for state in states:
        counts = ("conflicts", "deferred", "held", "quarantined", "blobs_missing")
        assert {key: state[key] for key in counts} == dict.fromkeys(counts, 0)


def test_every_replica_holds_the_same_site(site: list[Replica]) -> None:
    """Every field of every row, every publication and every file of the master is at the node and at both edges."""
    assert_all_hold_the_same(site)


def test_every_replica_serves_the_same_pages(site: list[Replica]) -> None:
    """Readers get the same bytes of page and picture from whichever replica is near them."""
    master, *_others = site
    for path in [*addresses(master)[:5], "/", "/sitemap.xml"]:
        answers = {read(replica, path) for replica in site}
        assert len(answers) == 1, path
    picture = next(path for path in addresses(master, "content.asset"))
    assert len({read(replica, picture) for replica in site}) == 1


def addresses(replica: Replica, model: str = "content.publication") -> list[str]:
    """Return the public addresses of pages, or of pictures."""
    found = rows(replica)
    if model == "content.asset":
        return [f"/media/{row['digest']}/{row['filename']}" for row in found[model].values()]
    sections = {token: row["slug"] for token, row in found["content.section"].items()}
    return [f"/{sections[row['section_id']]}/{row['slug']}" for row in found[model].values()]


def read(replica: Replica, path: str) -> bytes:
    """Return what a reader gets, with the replica's own name and address left out."""
    answer = replica.get(path)
    assert answer.status_code == 200, f"{replica.name} {path}: {answer.status_code}"
    content = answer.content
    for own in (replica.base, replica.url, replica.name):
        content = content.replace(own.encode(), b"")
    return content


def test_a_second_pull_brings_nothing(site: list[Replica]) -> None:
    """Pulling again from whom one has pulled, or from another who has the same, receives no changeset."""
    master, node, *edges = site
    for answers in each([node, *edges], lambda replica: pull(replica)):
        assert all(peer["ok"] and peer["received"] == 0 for peer in answers.values())  # type: ignore[union-attr]
    assert node.name in pull(edges[0]) and master.name in pull(edges[0])


def test_vacuum_changes_nothing(site: list[Replica]) -> None:
    """No row is known by a number that VACUUM may give out anew: digest, rows and pages are the same afterwards."""
    edge = site[2]
    paths = addresses(edge)[:3]
    before = (digest(edge), rows(edge), log(edge), [read(edge, path) for path in paths])
    with sqlite3.connect(edge.folder / "db.sqlite3") as database:
        database.execute("VACUUM")
    assert (digest(edge), rows(edge), log(edge), [read(edge, path) for path in paths]) == before
    assert all(peer["received"] == 0 for peer in pull(edge).values())


@pytest.mark.postgresql
def test_a_master_on_postgresql_and_edges_on_sqlite_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQL
) -> None:
    """What a master keeps in PostgreSQL is the same site, field by field, as what edges keep in SQLite."""
    with Cluster(tmp_path_factory.mktemp("postgresql")) as cluster:
        cluster.make("MASTER01", "master", database_url=postgresql_server.database())
        cluster.make("EDGE01", "edge", farm="thames")
        cluster.make("EDGE02", "edge", farm="thames")
        site = grown(cluster, SAMPLE)
        assert_all_hold_the_same(site)
        for path in addresses(site[0])[:3]:
            assert len({read(replica, path) for replica in site}) == 1, path
        assert all(peer["received"] == 0 for peer in pull(site[1]).values())

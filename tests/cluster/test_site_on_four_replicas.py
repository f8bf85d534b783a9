"""A whole site on four replicas: the same rows, the same publications, the same media, byte for byte."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.acts import SAMPLE, Rows, differences, look, look_at, media, orm, pull
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
    each(others, lambda replica: pull_all(replica, master, report["pages"]))
    return cluster.replicas


def pull_all(replica: Replica, master: Replica, pages: int) -> None:
    """Pull from ``master`` alone, which must bring and apply at least a changeset for each page."""
    report = pull(replica, master.name)[master.name]
    assert report["applied"] == report["received"] >= pages


def assert_all_hold_the_same(site: list[Replica]) -> None:
    """Compare rows field by field, logs, media and digests of all replicas with those of the first."""
    there, *others = look_at(site)
    files = media(site[0])
    assert len(there.rows["content.publication"]) == len(there.rows["content.page"]) > 0 and len(files) > 0
    assert {asset["digest"] for asset in there.rows["content.asset"].values()} == {path.split("/")[1] for path in files}
    for replica, here in zip(site[1:], others, strict=True):
        assert differences(here.rows, there.rows) == []
        assert here.log == there.log
        assert media(replica) == files
    assert len({state.status["digest"] for state in (there, *others)}) == 1
    for state in (there, *others):
        counts = ("conflicts", "deferred", "held", "quarantined", "blobs_missing")
        assert {key: state.status[key] for key in counts} == dict.fromkeys(counts, 0)


def test_every_replica_holds_the_same_site(site: list[Replica]) -> None:
    """Every field of every row, every publication and every file of the master is at the node and at both edges."""
    assert_all_hold_the_same(site)


def test_every_replica_serves_the_same_pages(site: list[Replica]) -> None:
    """Readers get the same bytes of page and picture from whichever replica is near them."""
    there = look(site[0]).rows
    picture = next(iter(there["content.asset"].values()))
    for path in [*addresses(there)[:5], "/", "/sitemap.xml", f"/media/{picture['digest']}/{picture['filename']}"]:
        assert len({read(replica, path) for replica in site}) == 1, path


def addresses(rows: Rows) -> list[str]:
    """Return the public addresses of all pages."""
    sections = {token: row["slug"] for token, row in rows["content.section"].items()}
    return [f"/{sections[row['section_id']]}/{row['slug']}" for row in rows["content.publication"].values()]


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
    for replica, others in ((node, {master.name, *(edge.name for edge in edges[:1])}), (edges[0], {master.name, node.name})):
        answers = pull(replica)
        assert answers.keys() == others
        assert all(peer["ok"] and peer["received"] == 0 for peer in answers.values())


def test_vacuum_changes_nothing(site: list[Replica]) -> None:
    """No row is known by a number that VACUUM may give out anew: digest, rows and pages are the same afterwards."""
    edge = site[2]
    before = look(edge)
    paths = addresses(before.rows)[:3]
    pages = [read(edge, path) for path in paths]
    with sqlite3.connect(edge.folder / "db.sqlite3") as database:
        database.execute("VACUUM")
    after = look(edge)
    assert (after.status["digest"], after.log) == (before.status["digest"], before.log)
    assert differences(after.rows, before.rows) == []
    assert [read(edge, path) for path in paths] == pages
    assert all(peer["received"] == 0 for peer in pull(edge).values())


CLAIM = """
from django.db import transaction
from content.models import Block, Page, Section
from content.publishing import publish
with transaction.atomic():
    section = Section.objects.create(title=river)
    page = Page.objects.create(title="Spring tide", section=section, token=token)
    Block.objects.create(parent=page, type="richtext", data={"html": f"<p>High water on the {river}.</p>"}, ordering="V")
    publish(page)
answer = [page.slug, page.get_absolute_url()]
"""


def test_two_edges_that_claim_one_slug_while_apart_have_a_page_each_everywhere(site: list[Replica]) -> None:
    """The tags are equal. Both pages live, every replica agrees that the first one keeps the slug, and the link of either arrives."""
    master, node, *edges = site
    rivers = ("Thames", "Severn")
    made = [
        orm(edge, CLAIM, river=river, token=f"{edge.name}-43AX-7K2M9QX1-241126101500")
        for edge, river in zip(edges, rivers, strict=True)
    ]
    assert [slug for slug, _ in made] == ["spring-tide-43ax"] * 2
    links = [link for _, link in made]
    pull(master)
    each([node, *edges], lambda replica: pull(replica, master.name))
    assert_all_hold_the_same(site)
    reached = [[arrival(replica, link, river) for link, river in zip(links, rivers, strict=True)] for replica in site]
    assert all(found == reached[0] for found in reached)
    assert reached[0][0] == links[0], "the first to claim it keeps it"
    assert reached[0][1].rpartition("/")[2] not in ("spring-tide-43ax", "")


def arrival(replica: Replica, link: str, river: str) -> str:
    """Return the address at which a reader who follows ``link`` ends, after at most one step, and reads of ``river``."""
    answer = replica.get(link)
    if answer.status_code == 301:
        link = answer.headers["location"].removeprefix(replica.base)
        answer = replica.get(link)
    assert answer.status_code == 200 and f"High water on the {river}." in answer.text, f"{replica.name} {link}"
    return link


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
        for path in addresses(look(site[0]).rows)[:3]:
            assert len({read(replica, path) for replica in site}) == 1, path
        assert all(peer["received"] == 0 for peer in pull(site[1]).values())

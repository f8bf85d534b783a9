"""Databases that are taken back, copied and run twice under one name: every write is found everywhere, and all hold the same."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cluster.acts import LOOK, Look
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import MANAGE, Zygote, introduce
from tests.servers import free_port

pytestmark = pytest.mark.cluster

WRITE = "from content.models import Section\nanswer = Section.objects.create(title=title).token"
TITLES = "from content.models import Section\nanswer = sorted(Section.objects.values_list('title', flat=True))"
ORIGIN = "from sync import local\nanswer = local.state().incarnation"
HERE = "from sync import place\nfrom sync.models import Local\nanswer = Local.objects.update(place=place.here())"
SEQUENCES = """
from sync.models import Entry
answer = [list(row) for row in Entry.objects.filter(chain__name=name, chain__scope="all").order_by("position")
          .values_list("chain__incarnation", "seq")]
"""


@dataclass
class Site:
    """A master and two edges of one farm, whose web servers run. ``webs``: process by name of the replica."""

    master: Zygote
    first: Zygote
    second: Zygote
    stack: ExitStack
    webs: dict[str, int]

    def all(self) -> list[Zygote]:
        """Return the three."""
        return [self.master, self.first, self.second]

    def up(self, zygote: Zygote) -> None:
        """Start the web server of a replica."""
        self.webs[zygote.replica.name] = zygote.web()
        eventually(lambda: zygote.replica.why_not_ready() == "", timeout=60)

    def down(self, zygote: Zygote) -> None:
        """End it."""
        zygote.kill(self.webs.pop(zygote.replica.name))

    def exchange(self) -> None:
        """Let everybody pull from all that he may, until what came by one way has gone on by the others."""
        for _ in range(2):
            for zygote in self.all():
                zygote.must("sync_pull")


def sites(folder: Path, database_url: str = "") -> Iterator[Site]:
    """Yield a site whose replicas know each other; the first edge is on ``database_url``, or on SQLite. Afterwards all has ended."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(folder))
        replicas = [
            cluster.make("MASTER01", "master"),
            cluster.make("EDGE01", "edge", "thames", database_url=database_url),
            cluster.make("EDGE02", "edge", "thames"),
        ]
        master, first, second = (stack.enter_context(Zygote(replica)) for replica in replicas)
        site = Site(master, first, second, stack, {})
        for zygote in site.all():
            zygote.must("migrate", "--verbosity", "0")
        introduce(master, [first, second])
        for zygote in site.all():
            site.up(zygote)
        site.exchange()
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, on which each test goes on where the one before ended."""
    yield from sites(tmp_path_factory.mktemp("restored"))


def write(zygote: Zygote, title: str) -> str:
    """Write a section; return its token, which acknowledges it."""
    return str(zygote.answer(WRITE, title=title))


def titles(zygote: Zygote) -> list[str]:
    """Return the titles of all sections."""
    return list(zygote.answer(TITLES))


def origin(zygote: Zygote) -> str:
    """Return the incarnation under which a replica writes."""
    return str(zygote.answer(ORIGIN))


def copy_of_database(zygote: Zygote, target: Path) -> Path:
    """Copy the database while it runs, as a script of an operator does."""
    with sqlite3.connect(zygote.replica.folder / "db.sqlite3") as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    return target


def put_back(zygote: Zygote, copy: Path) -> None:
    """Copy the older content into the file of the database: name, inode and the mark beside it stay."""
    file = zygote.replica.folder / "db.sqlite3"
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.write_bytes(copy.read_bytes())


def assert_healed(site: Site, *wanted: str) -> None:
    """Everything acknowledged is everywhere; digests and logs are equal; nobody waits for anything; nothing more is exchanged."""
    found = [Look(*zygote.answer(LOOK)) for zygote in site.all()]
    for look in found:
        shown = {row["title"] for row in look.rows["content.section"].values()}
        assert set(wanted) <= shown
        assert look.log == found[0].log
        assert look.rows == found[0].rows
        assert look.status["digest"] == found[0].status["digest"]
        assert (look.status["quarantined"], look.status["held"], look.status["deferred"]) == (0, 0, 0)
    pulled = [zygote.replica.command("sync_pull")["peers"] for zygote in site.all()[1:]]
    assert {peer["received"] for peers in pulled for peer in peers} == {0}


def test_an_edge_restored_from_yesterday(site: Site, tmp_path: Path) -> None:
    """What it wrote after the copy comes back from its peers, what it writes after being restored bears other numbers."""
    edge = site.first
    write(edge, "Before the copy")
    copy, before = copy_of_database(edge, tmp_path / "yesterday"), origin(edge)
    write(edge, "After the copy")
    site.exchange()
    site.down(edge)
    put_back(edge, copy)
    assert "After the copy" not in titles(edge)
    site.up(edge)
    write(edge, "Restored")
    assert origin(edge) != before
    site.exchange()
    assert_healed(site, "Before the copy", "After the copy", "Restored")
    made = site.master.answer(SEQUENCES, name=edge.replica.name)
    assert len({tuple(place) for place in made}) == len(made), "a number was given out twice"


def test_a_master_restored_while_edges_remember(site: Site, tmp_path: Path) -> None:
    """The edges give back what it had written, the trusted list with it; whom it enters then is known to everybody."""
    master = site.master
    copy, before = copy_of_database(master, tmp_path / "yesterday"), origin(master)
    key = "ed25519:" + "A" * 43 + "="
    master.must("sync_trust", "EDGE08-LON", "--role", "edge", "--farm", "thames", "--key", key)
    write(master, "Of the master")
    site.exchange()
    site.down(master)
    put_back(master, copy)
    site.up(master)
    write(master, "Of the master, restored")
    master.must("sync_trust", "EDGE09-LON", "--role", "edge", "--farm", "thames", "--key", key.replace("A=", "E="))
    assert origin(master) != before
    site.exchange()
    assert_healed(site, "Of the master", "Of the master, restored")
    for zygote in site.all():
        listed = zygote.replica.command("sync_status")["peers"]
        assert {"EDGE08-LON", "EDGE09-LON"} <= {peer["name"] for peer in listed}


def test_a_copied_folder_that_runs_beside_its_original(site: Site, tmp_path: Path) -> None:
    """The copy takes another incarnation with its first write; both write on, and nothing collides."""
    edge = site.first
    twin = replace(edge.replica, folder=tmp_path / "twin", port=free_port())
    shutil.copytree(edge.replica.folder, twin.folder)
    with Zygote(twin) as copy:
        write(copy, "Of the copy")
        write(edge, "Of the original")
        assert origin(copy) != origin(edge)
        copy.must("sync_push")
    site.exchange()
    assert_healed(site, "Of the copy", "Of the original")
    made = site.master.answer(SEQUENCES, name=edge.replica.name)
    assert len({tuple(place) for place in made}) == len(made), "a number was given out twice"


def test_two_replicas_under_one_identity_give_out_one_number(site: Site, tmp_path: Path) -> None:
    """One change reaches the master, the other one the second edge, both writers are gone: master and edge become equal.

    The disk was cloned as a whole, so that nothing but the peers can tell the two apart.
    """
    edge, master, second = site.first, site.master, site.second
    twin = replace(edge.replica, folder=tmp_path / "twin", port=free_port())
    shutil.copytree(edge.replica.folder, twin.folder)
    with Zygote(twin) as copy:
        copy.answer(HERE)
        write(copy, "One")
        write(copy, "Another one")
        write(edge, "Two")
        assert origin(copy) == origin(edge)
        assert copy.answer(SEQUENCES, name=twin.name)[-2] == edge.answer(SEQUENCES, name=twin.name)[-1]
        copy.run(MANAGE, "sync_push")  # to the second edge; the first is the original
    master.must("sync_pull", edge.replica.name)
    site.down(edge)
    assert ("Two" in titles(master), "One" in titles(master)) == (True, False)
    assert ("Two" in titles(second), "One" in titles(second)) == (False, True)
    master.must("sync_pull", second.replica.name)
    second.must("sync_pull", master.replica.name)
    site.up(edge)
    before = origin(edge)
    site.exchange()
    assert origin(edge) != before
    assert_healed(site, "One", "Another one", "Two")

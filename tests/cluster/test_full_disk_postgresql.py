"""A PostgreSQL whose disk is full: readers are served on, writers are told so and lose nothing, and it heals by itself.

Two disks are full in two ways. That of the tables: each write that needs a new page is refused, and everything else goes on. That of
the write-ahead log: the server panics and starts anew, and where it finds no room for that either, it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.acts import LOOK, PUBLISH, Look, shows
from tests.cluster.disk import Disk
from tests.cluster.harness import Cluster, eventually
from tests.cluster.test_full_disk import WRITE_UNTIL_REFUSED, alike, editor_of, sent_again, submission, tracebacks
from tests.cluster.zygote import LINES, MANAGE, Zygote, found_site
from tests.content.editing import add_block, form_of
from tests.servers import PostgreSQL

pytestmark = [pytest.mark.cluster, pytest.mark.postgresql]


WRITE_AND_SAY_SO = """
from django.db import DatabaseError
from content.models import Section
from sync import storage
try:
    for number in range(10_000):
        print(Section.objects.create(title=f"Section {number}", description="text " * 4000).token, flush=True)
except DatabaseError as error:
    known = storage.trouble(error)
    print(f"{known.code}: {known}" if known else repr(error))
"""


class Site(NamedTuple):
    """A master on a PostgreSQL of its own, and an edge; web servers and workers run, and a page is public on both."""

    server: PostgreSQL
    tables: Disk
    wal: Disk
    master: Zygote
    edge: Zygote
    worker: int  # of the master
    page: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """See ``Site``."""
    with ExitStack() as stack:
        disks: list[Disk] = []

        def mount(folder: Path) -> None:
            disks.extend(stack.enter_context(Disk(folder / name, size << 20)) for name, size in (("data", 96), ("wal", 24)))

        server = PostgreSQL(disks=mount)
        stack.callback(server.close)
        server.start()
        cluster = stack.enter_context(Cluster(tmp_path_factory.mktemp("full"), interval=1))
        replicas = (
            cluster.make("MASTER01", "master", database_url=server.database()),
            cluster.make("EDGE01", "edge", farm="thames"),
        )
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        page = str(master.answer(PUBLISH, title="High water"))
        master.web(), edge.web()
        worker = master.start(MANAGE, "sync_worker")
        edge.start(MANAGE, "sync_worker")
        eventually(lambda: shows(edge.replica, page, "High water"))
        assert eventually(lambda: master.replica.get("/readyz").status_code == 200)
        yield Site(server, *disks, master, edge, worker, page)


def test_tables_without_room_refuse_writes_and_nothing_else(site: Site) -> None:
    """Public pages, admin, API and peers read on; each write is refused in words; with room again all goes on by itself."""
    master = site.master.replica
    with closing(master.login()) as client:
        address = editor_of(client)
        form = form_of(client, address)  # type: ignore[arg-type]
        add_block(form, "richtext", html="<p>What was typed on a full disk.</p>")
        form |= {"title": "Low water", "_publish": ""}
        site.tables.fill()
        refusal = site.master.answer(WRITE_UNTIL_REFUSED)
        assert "No space left" in refusal
        # -- reading goes on
        for path in ("/", site.page, "/search?q=water", "/feed", "/api/v1/pages/", "/healthz", "/metrics"):
            assert master.get(path).status_code == 200, path
        assert client.get(address).status_code == 200
        assert site.master.report("sync_status").code == 0
        # -- writing is refused in words
        refused = submission(master)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_writable"), refused.text
        saved = client.post(address, data=form)
        assert saved.status_code == 503 and "Not stored yet" in saved.text
        assert sent_again(saved.text).items() >= form.items()
        title = str(site.edge.answer(PUBLISH, title="Written meanwhile"))
        pulled = site.master.report("sync_pull")
        assert pulled.code == 1 and "not_writable" in pulled.stderr and "Traceback" not in pulled.stderr
        # -- and heals
        site.tables.make_room()
        assert client.post(address, data=sent_again(saved.text)).status_code == 302
        assert "What was typed on a full disk." in master.get(site.page).text
        eventually(lambda: shows(master, title, "Written meanwhile"))
        assert not site.master.has_ended(site.worker)
        alike([site.master, site.edge])
        assert tracebacks(master.folder) == [] and tracebacks(site.edge.replica.folder) == []


def test_a_log_without_room_ends_the_server_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    """Each write says what is the matter, pages that are files are served on; with room, and the server started, all goes on."""
    master = site.master.replica
    assert master.get(site.page).status_code == 200
    site.wal.fill()
    log = tmp_path / "writer.log"
    assert site.master.run(LINES, WRITE_AND_SAY_SO, log=log) == 0
    *_, why = log.read_text().splitlines()
    acknowledged = re.findall(r"^MASTER01-LON-\S+$", log.read_text(), re.MULTILINE)
    assert acknowledged and ("No space left" in why or "database_unavailable" in why), why
    server = site.server.child
    assert server is not None and eventually(lambda: server.poll() is not None)
    assert "No space left" in (site.server.folder / "log").read_text()
    # -- what is a file is served; all else says whose move it is
    assert master.get(site.page).status_code == 200
    assert (master.get("/healthz").status_code, master.get("/readyz").status_code) == (200, 503)
    refused = submission(master)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert "see to it that it runs" in refused.json()["detail"]
    pulled = site.master.report("sync_pull")
    assert pulled.code == 1 and "database_unavailable" in pulled.stderr and "Traceback" not in pulled.stderr
    title = str(site.edge.answer(PUBLISH, title="Written meanwhile"))
    # -- and heals
    site.wal.make_room()
    site.server.start()
    eventually(lambda: master.get("/readyz").status_code == 200)
    eventually(lambda: shows(master, title, "Written meanwhile"))
    assert not site.master.has_ended(site.worker)
    alike([site.master, site.edge])
    assert set(acknowledged) <= Look(*site.edge.answer(LOOK)).rows["content.section"].keys()
    assert submission(master).status_code == 201
    assert tracebacks(master.folder) == [] and tracebacks(site.edge.replica.folder) == []

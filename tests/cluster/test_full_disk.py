"""A disk that is full: readers and peers are served on, writers are told so and lose nothing, and it heals by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from html import unescape
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from django.core.management import get_commands

from tests.cluster.acts import LOOK, PUBLISH, SAMPLE, Look, media, shows
from tests.cluster.disk import Disk
from tests.cluster.harness import Cluster, Replica, eventually
from tests.cluster.zygote import MANAGE, Zygote, found_site
from tests.content.editing import add_block, form_of

pytestmark = pytest.mark.cluster

TOP = Path(__file__).resolve().parent.parent.parent
# Writes until the write-ahead log, which keeps the size that it once had, is full too.
WRITE_UNTIL_REFUSED = """
from django.db import OperationalError
from content.models import Section
try:
    for number in range(10_000):
        Section.objects.create(title=f"Section {number}", description="text " * 40)
    answer = "never refused"
except OperationalError as error:
    answer = str(error)
"""
BLOB = """
import io, os
from content.models import Asset
from sync import blobs
digest, size = blobs.put(io.BytesIO(os.urandom(size)))
Asset.objects.create(title="Film", filename="film.bin", digest=digest, size=size, content_type="application/octet-stream")
answer = digest
"""


class Site(NamedTuple):
    """A master, and an edge whose folder is a disk of its own; web servers and workers run, and a page is public on both."""

    disk: Disk
    master: Zygote
    edge: Zygote
    workers: tuple[int, int]
    page: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """See ``Site``."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path, interval=1))
        replicas = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        disk = stack.enter_context(Disk(replicas[1].folder, 64 << 20))
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        page = str(master.answer(PUBLISH, title="High water"))
        logs = tmp_path / "logs"  # not on the disk that is full: they are read in the end
        logs.mkdir()
        master.web(), edge.web(logs / "web.log")
        workers = master.start(MANAGE, "sync_worker"), edge.start(MANAGE, "sync_worker", log=logs / "worker.log")
        eventually(lambda: shows(edge.replica, page, "High water"))
        assert eventually(lambda: edge.replica.get("/readyz").status_code == 200)
        yield Site(disk, master, edge, workers, page)


def editor_of(client: httpx2.Client) -> str:
    """Return where the one page is edited."""
    found = re.search(r"/admin/content-editor/page/(?!add)[a-z0-9-]+", client.get("/admin/content-editor/page/").text)
    assert found
    return found[0]


def submission(replica: Replica) -> httpx2.Response:
    """Send a submission, always the same."""
    body = {"form": "contact", "data": {"text": "water " * 20}, "idempotency_key": "once"}
    return httpx2.post(f"{replica.base}/api/v1/submissions/", json=body, timeout=60, trust_env=False)


def sent_again(page: str) -> dict[str, str]:
    """Return what the button of the page that says “not stored” would send."""
    areas = re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    return {unescape(name): unescape(value) for name, value in areas}


def test_a_full_disk_refuses_writes_and_nothing_else(site: Site, tmp_path: Path) -> None:
    """Public pages, admin, API and peers read on; each write is refused in words; with room again all goes on by itself."""
    edge, page = site.edge.replica, site.page
    with closing(edge.login()) as client:
        address = editor_of(client)
        form = form_of(client, address)  # type: ignore[arg-type]
        add_block(form, "richtext", html="<p>What was typed on a full disk.</p>")
        form |= {"title": "Low water", "_publish": ""}
        site.disk.fill()
        assert "full" in site.edge.answer(WRITE_UNTIL_REFUSED)
        # -- reading goes on
        assert edge.get("/healthz").status_code == 200
        not_ready = edge.get("/readyz")
        assert not_ready.status_code == 503
        assert "takes no files" in not_ready.text or "nearly full" in not_ready.text
        for path in ("/", page, "/search?q=water", "/feed", "/api/v1/pages/", "/static/admin/css/base.css", "/metrics"):
            assert edge.get(path).status_code == 200, path
        assert client.get(address).status_code == 200
        assert site.edge.report("sync_status").code == 0
        # -- writing is refused in words
        refused = submission(edge)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_writable")
        assert refused.headers["content-type"] == "application/problem+json" and refused.headers["retry-after"]
        saved = client.post(address, data=form)
        assert saved.status_code == 503 and "Not stored yet" in saved.text and "full" in saved.text
        assert sent_again(saved.text).items() >= form.items()
        files = {"file": ("a.bin", os.urandom(100_000), "application/octet-stream")}
        upload = client.post("/admin/content/asset/add/", data=form | {"title": "a"}, files=files)
        assert upload.status_code == 503 and "a.bin" in upload.text
        with pytest.raises(AssertionError, match="503"):
            edge.login()
        title = str(site.master.answer(PUBLISH, title="Written meanwhile"))
        pulled = site.edge.report("sync_pull")
        assert pulled.code == 1
        (line,) = [line for line in pulled.stderr.splitlines() if line.startswith("MASTER01-LON")]
        assert "not_writable" in line and "make room" in line
        # -- and heals
        site.disk.make_room()
        assert eventually(lambda: edge.get("/readyz").status_code == 200)
        answer = client.post(address, data=sent_again(saved.text))
        assert answer.status_code == 302
        assert "What was typed on a full disk." in edge.get(page).text
        assert submission(edge).status_code == 201
        eventually(lambda: shows(edge, title, "Written meanwhile"))
        assert not site.edge.has_ended(site.workers[1])
        alike([site.master, site.edge])
        assert tracebacks(tmp_path / "logs") == []


def alike(zygotes: list[Zygote]) -> None:
    """Wait until all replicas hold the same."""
    eventually(lambda: len({Look(*zygote.answer(LOOK)).status["digest"] for zygote in zygotes}) == 1, timeout=60)


def tracebacks(folder: Path) -> list[str]:
    """Return the logs in ``folder`` that hold a traceback."""
    return [path.name for path in folder.glob("*.log") if "Traceback" in path.read_text(errors="replace")]


def test_readers_are_served_though_nobody_else_has_the_database_open(site: Site) -> None:
    """Between two requests nothing but the web server itself keeps the index of SQLite's log, which a full disk cannot hold anew."""
    site.edge.kill(site.workers[1])
    assert site.edge.replica.get(site.page).status_code == 200
    site.disk.fill()
    for _ in range(3):
        assert site.edge.replica.get(site.page).status_code == 200


def test_a_pull_that_fills_the_disk_goes_on_when_there_is_room(site: Site) -> None:
    """Changesets and the beginning of a file are kept, the line says who has to act; the rest comes, and only the rest."""
    for zygote, worker in zip((site.master, site.edge), site.workers, strict=True):
        zygote.kill(worker)
    digest = site.master.answer(BLOB, size=12_000_000)
    site.disk.fill(leave=6 << 20)
    pulled = site.edge.report("sync_pull")
    assert pulled.code == 1 and "not_writable" in pulled.stderr and "Traceback" not in pulled.stderr
    part = site.edge.replica.folder / "media" / "parts" / f"{digest}.part"
    assert part.stat().st_size > 1_000_000
    assert shows(site.edge.replica, site.page, "High water")
    site.disk.make_room()
    assert site.edge.report("sync_pull").code == 0
    assert media(site.edge.replica) == media(site.master.replica)
    alike([site.master, site.edge])


def test_a_push_to_a_full_disk_is_refused_and_made_up_for(site: Site) -> None:
    """The pusher hears which replica cannot store; what it has is there once that has room."""
    site.disk.fill()
    site.edge.answer(WRITE_UNTIL_REFUSED)
    site.master.answer(PUBLISH, title="Pushed")
    pushed = site.master.report("sync_push")
    assert pushed.code == 1
    assert "EDGE01-LON: not_writable" in pushed.stderr and "Traceback" not in pushed.stderr
    site.disk.make_room()
    alike([site.master, site.edge])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Disk, Zygote]]:
    """The disk of an edge with content of its own, all of which a master holds, and that edge, whose web server runs."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path_factory.mktemp("filled")))
        replicas = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        disk = stack.enter_context(Disk(replicas[1].folder, 64 << 20))
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        edge.answer(REWRITTEN)
        master.web(), edge.web()
        for replica in replicas:
            eventually(lambda replica=replica: replica.get("/readyz").status_code == 200)
        master.must("sync_pull")
        yield disk, edge


REWRITTEN = """
from content.models import Section
for number in range(20):
    section = Section.objects.create(title=f"Chapter {number}", description="first " * 200)
    Section.objects.filter(token=section.token).update(description=f"{number} " * 200)
answer = None
"""
TAMPER = "UPDATE content_section SET description = 'tampered' WHERE title LIKE 'Chapter %'"
RAW = """
from django.db import connection
with connection.cursor() as cursor:
    for statement in statements:
        cursor.execute(statement)
answer = None
"""
UNSHOWN = [TAMPER, "UPDATE sync_register SET projected = FALSE WHERE model = 'content.section'"]
IS_SHOWN = """
from content.models import Section
answer = not Section.objects.filter(description="tampered").exists()
"""
IS_IMPORTED = "from content.models import Page\nanswer = Page.objects.exclude(source='').count() > 5"


@pytest.mark.parametrize(
    ("before", "args", "outcome"),
    [
        ([], ("sync_compact",), "answer = True"),
        ([], ("import_pages", str(SAMPLE)), IS_IMPORTED),
        (UNSHOWN, ("sync_replay",), IS_SHOWN),
        ([TAMPER], ("sync_verify", "--repair"), IS_SHOWN),
    ],
    ids=lambda part: part[0] if isinstance(part, tuple) else "",
)
def test_a_command_on_a_full_disk_says_so_in_a_line(
    filled: tuple[Disk, Zygote], before: list[str], args: tuple[str, ...], outcome: str
) -> None:
    """It ends with status 1 and tells whose move it is; run again when there is room, it does its work."""
    disk, edge = filled
    edge.answer(RAW, statements=before)
    disk.fill()
    try:
        assert "full" in edge.answer(WRITE_UNTIL_REFUSED)
        refused = edge.report(*args)
    finally:
        disk.make_room()
    assert refused.code == 1 and "Traceback" not in refused.stderr, refused.stderr
    (line,) = [line for line in refused.stderr.splitlines() if "not_writable" in line]
    assert "make room" in line
    done = edge.report(*args)
    assert done.code == 0, done.stderr
    assert edge.answer(outcome)
    if args[0] == "sync_compact":
        assert re.search(r"^[1-9]\d* values \(", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.skipif("backup" not in get_commands(), reason="this release has no backup")
def test_a_backup_that_does_not_fit_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    """It says so in a line, and there is no half of one that could be taken for a whole."""
    with Disk(tmp_path / "small", 1 << 20) as small:
        small.fill(leave=8 << 10)
        done = site.edge.report("backup", str(small.folder / "backup"))
        assert done.code == 1 and "Traceback" not in done.stderr
        assert not (small.folder / "backup").exists()
    assert site.edge.report("backup", str(tmp_path / "backup")).code == 0


def test_a_start_on_a_full_disk_is_refused_in_words(tmp_path: Path) -> None:
    """Without room for its key nothing starts, nothing is left half made, and with room it does."""
    with Cluster(tmp_path) as cluster:
        replica = cluster.make("EDGE01", "edge", farm="thames")
        with Disk(replica.folder, 4 << 20) as disk:
            disk.fill()
            done = replica.manage("migrate", "--verbosity", "0")
            assert done.code == 1 and "EDGECMS_DATA" in done.stderr and "make room" in done.stderr
            assert "Traceback" not in done.stderr
            disk.make_room()
            disk.fill(leave=200_000)  # for the key, and not for a database
            done = replica.manage("migrate", "--verbosity", "0")
            assert done.code == 1 and "not_writable" in done.stderr and "Traceback" not in done.stderr
            disk.make_room()
            replica.must("migrate", "--verbosity", "0")
            assert sorted(path.name for path in (replica.folder / "keys").iterdir()) == ["ed25519.key"]
            assert not list(replica.folder.glob("secret.key.*"))
            disk.fill(leave=48 << 10)  # for the index of the database's log, and not for a queue
            done = replica.manage("sync_worker")
            assert done.code == 1 and "not_writable" in done.stderr and "Traceback" not in done.stderr


COUNT = """
from edgecms.metrics import REQUESTS, use_slot
use_slot(0)
try:
    for number in range(5_000):
        REQUESTS.labels(f"view {number}", "GET", 200).inc()
except OSError as error:
    print(error.strerror)
"""


def test_counting_requests_on_a_full_disk_ends_no_process(tmp_path: Path) -> None:
    """Numbers stand in a mapped file; to write into a hole of it would be the end of the web server."""
    with Disk(tmp_path / "metrics", 256 << 10) as disk:
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(disk.folder), "EDGECMS_DATA": str(tmp_path / "data")}
        env["DJANGO_SETTINGS_MODULE"] = "edgecms.settings"
        done = subprocess.run([sys.executable, "-c", COUNT], env=env, cwd=TOP, capture_output=True, text=True)
        assert done.returncode != -signal.SIGBUS
        assert done.stdout.strip() == "No space left on device", done.stderr

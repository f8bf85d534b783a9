"""Public pages as files over real processes: gunicorn and nginx answer alike, and never with what was before the last commit."""

from __future__ import annotations

import gzip
import http.client
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest

from deploy.local.processes import stop
from tests.cluster.acts import orm, publish, pull
from tests.cluster.harness import Cluster, Replica, eventually
from tests.cluster.zygote import children
from tests.servers import Nginx

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "edgecms.conf"
CHANGE = """
from content.models import Page
from content.publishing import publish
page = Page.objects.get(publication__isnull=False)
page.blocks.update(data={"html": f"<p>All about {text}.</p>"})
publish(page)
"""
# Dies just after the commit, before anything in its wake.
DIE = """
import os, signal
from content.pagecache import folder
folder.Change.end = lambda self: os.kill(os.getpid(), signal.SIGKILL)
"""
COME_AND_GO = """
import contextlib, os, sys
while True:
    with contextlib.suppress(FileNotFoundError):
        os.rename(sys.argv[1], sys.argv[1] + ".away")
        os.rename(sys.argv[1] + ".away", sys.argv[1])
"""
PLAIN = {"Accept-Encoding": "identity"}
DATA_SEGMENTS_IN = 152  # bytes, where struct tcp_info has tcpi_data_segs_in
ALIKE = ("Content-Type", "Cache-Control", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "ETag")
ALIKE += ("Cross-Origin-Opener-Policy", "X-Frame-Options", "Last-Modified", "Vary")


@pytest.fixture
def master() -> Iterator[Replica]:
    """A master with two gunicorn workers, in a folder that the account of nginx may read; pytest closes its own to others."""
    with TemporaryDirectory(prefix="edgecms-pages-") as folder, Cluster(Path(folder), WEB_CONCURRENCY="2") as cluster:
        Path(folder).chmod(0o755)
        replica = cluster.make("MASTER01", "master")
        replica.must("migrate", "--verbosity", "0")
        replica.start_web()
        yield replica


def kept(replica: Replica) -> list[str]:
    """The pages in the folder."""
    root = replica.folder / "pages"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.html"))


def headers(answer: httpx2.Response, names: tuple[str, ...] = ALIKE) -> dict[str, list[str]]:
    """The headers that both servers send, each as its parts in order."""
    return {name: sorted(part.strip() for part in answer.headers.get(name, "").split(";")) for name in names}


@contextmanager
def in_front_of(master: Replica) -> Iterator[Nginx]:
    """nginx with our configuration."""
    site = CONFIGURATION.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{master.port}")
    site = site.replace("/srv/edgecms/pages", str(master.folder / "pages"))
    for folder in (master.folder, master.folder.parent):
        folder.chmod(0o755)
    server = Nginx(site=site)
    try:
        server.start()
        yield server
    finally:
        server.close()


def texts(replica: Replica, path: str) -> set[str]:
    """What readers get who come by connections of their own, so that every worker answers some."""
    return {replica.get(path).text for _ in range(12)}


def test_what_a_command_publishes_shows_in_every_worker_at_once(master: Replica) -> None:
    """Pages that all workers have answered before are new after a commit of another process."""
    path = publish(master, "Low water")
    assert all("All about Low water." in text for text in texts(master, path)) and kept(master)
    orm(master, CHANGE, text="high water")
    assert all("All about high water." in text for text in texts(master, path))


def test_answers_from_the_folder_wear_no_worker_out(master: Replica) -> None:
    """A worker is replaced after so many requests that Django has answered; pages that are files may be asked for without end."""
    master.web.kill()
    master.extra["GUNICORN_CMD_ARGS"] = "--max-requests 20 --max-requests-jitter 0"
    master.start_web()
    eventually(lambda: master.why_not_ready() == "")
    path = publish(master, "Low water")
    texts(master, path)
    workers = children(master.web.child.pid)
    assert {master.get(path).status_code for _ in range(100)} == {200}
    assert children(master.web.child.pid) == workers and len(workers) == 2
    assert {master.get("/search?q=water").status_code for _ in range(50)} == {200}
    eventually(lambda: not set(workers) <= set(children(master.web.child.pid)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the segments of a connection")
def test_a_page_reaches_its_reader_in_one_piece(master: Replica) -> None:
    """Head and page are sent together: whoever reads is woken once."""
    path = publish(master, "Low water")
    texts(master, path)
    with socket.create_connection(("127.0.0.1", master.port)) as reader:
        for number in range(1, 4):
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = http.client.HTTPResponse(reader)
            answer.begin()
            assert answer.status == 200 and b"Low water" in answer.read()
            [segments] = struct.unpack_from("I", reader.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), DATA_SEGMENTS_IN)
            assert segments == number


def test_a_crash_between_commit_and_its_wake_leaves_no_stale_page(master: Replica) -> None:
    """A publisher is killed right after its commit: readers have the new page, and it is kept again."""
    path = publish(master, "Low water")
    texts(master, path)
    outcome = master.manage("shell", "--no-imports", "--verbosity", "0", "--command", f"text = 'high water'\n{DIE}{CHANGE}")
    assert outcome.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert all("All about high water." in text for text in texts(master, path))
    assert path.strip("/") + ".html" in kept(master)


def test_what_an_edge_pulls_shows_at_once(tmp_path: Path) -> None:
    """A page that the edge has as a file is new when the pull that brought it has ended."""
    with Cluster(tmp_path) as cluster:
        master, edge = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        cluster.prepare()
        cluster.start(workers=False)
        path = publish(master, "Low water")
        pull(edge)
        assert "All about Low water." in edge.get(path).text and kept(edge)
        orm(master, CHANGE, text="high water")
        pull(edge)
        assert "All about high water." in edge.get(path).text


PICTURES = """
import io
from PIL import Image
from django.core.files.uploadedfile import SimpleUploadedFile
from content.uploads import store
photo = io.BytesIO()
Image.new("RGB", (900, 600), "teal").save(photo, "JPEG")
files = {
    "quay.jpg": photo.getvalue(),
    "map.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "plan.pdf": b"%PDF-1.7",
    "tides.csv": b"6:04,1.2",
}
answer = [store(SimpleUploadedFile(name, content)).url for name, content in files.items()]
"""
OF_MEDIA = tuple(name for name in ALIKE if name not in ("Cross-Origin-Opener-Policy", "Vary"))
OF_MEDIA += ("Content-Length", "Content-Disposition", "Cross-Origin-Resource-Policy")


def test_nginx_answers_media_from_the_folder_as_gunicorn_does(master: Replica) -> None:
    """Originals and renditions: the same bytes and headers from both, also when gunicorn is gone; what is deleted is gone in both."""
    addresses = orm(master, PICTURES)
    addresses.append(addresses[0].replace("quay.jpg", "640w/quay.webp"))
    first = {address: master.get(address) for address in addresses}  # put there by Django
    with in_front_of(master) as server, httpx2.Client(base_url=server.url, trust_env=False) as reader:
        for address in addresses:
            ours, theirs = master.get(address), reader.get(address)
            assert theirs.content == ours.content == first[address].content and theirs.content
            assert headers(theirs, OF_MEDIA) == headers(ours, OF_MEDIA), address
            assert reader.get(address, headers={"If-None-Match": theirs.headers["ETag"]}).status_code == 304
            assert reader.head(address).headers["Content-Length"] == str(len(ours.content))
        orm(master, "from content.models import Asset; Asset.objects.get(filename='map.svg').delete()")
        assert {who.get(addresses[1]).status_code for who in (master, reader)} == {404}
        stop([master.web])
        assert reader.get(addresses[0]).content == first[addresses[0]].content
        assert reader.get(addresses[0].replace("quay", "sea")).status_code == 502


def test_a_page_that_goes_while_nginx_looks_is_no_page_that_is_not_there(master: Replica) -> None:
    """A file that comes and goes all the time: nginx sends it or asks gunicorn, and no reader is told that there is no such page."""
    path = publish(master, "Low water")
    page = master.folder / "pages" / f"{path.strip('/')}.html"
    with in_front_of(master) as server, httpx2.Client(base_url=server.url, headers=PLAIN, trust_env=False) as reader:
        assert reader.get(path).status_code == 200
        with coming_and_going(page):
            assert Counter(reader.get(path).status_code for _ in range(400)) == {200: 400}


@contextmanager
def coming_and_going(file: Path) -> Iterator[None]:
    """Take ``file`` away and put it back, as fast as it goes."""
    with subprocess.Popen([sys.executable, "-c", COME_AND_GO, str(file)]) as process:
        try:
            yield
        finally:
            process.kill()


def test_nginx_answers_from_the_folder_as_gunicorn_does(master: Replica) -> None:
    """The same bytes, types, versions and headers, in plain and compressed form, and also when gunicorn is gone."""
    path = publish(master, "Low water")
    with in_front_of(master) as server, httpx2.Client(base_url=server.url, trust_env=False) as reader:
        addresses = ("/", path, path.rpartition("/")[0], "/feed", "/sitemap.xml")
        first = {address: reader.get(address) for address in addresses}  # rendered by gunicorn, kept as files
        for address in addresses:
            for encoding in ("identity", "gzip"):
                ours = master.get(address, headers={"Accept-Encoding": encoding})
                theirs = reader.get(address, headers={"Accept-Encoding": encoding})
                assert theirs.content == ours.content == first[address].content
                assert headers(theirs) == headers(ours), address
            known = {"If-None-Match": theirs.headers["ETag"], "Accept-Encoding": "gzip"}
            assert reader.get(address, headers=known).status_code == 304
        assert reader.get("/search?q=water").status_code == 200
        assert reader.get("/?page=2").status_code == 200
        assert reader.get("/.state/epoch").status_code == 404 == reader.get(f"{path}.html.meta").status_code
        orm(master, CHANGE, text="high water")
        assert "All about high water." in reader.get(path).text
        eventually(lambda: path.strip("/") + ".html" in kept(master))
        stop([master.web])
        assert "All about high water." in reader.get(path).text
        assert reader.get("/search?q=water").status_code == 502
        raw = gzip.decompress((master.folder / "pages" / f"{path.strip('/')}.html.gz").read_bytes())
        assert raw.decode() == reader.get(path).text

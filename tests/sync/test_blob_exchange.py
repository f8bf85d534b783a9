"""Files come several at a time, within a bound, and what one of them meets keeps no other from coming."""

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sync import blob_exchange, blobs, incoming
from sync.client import Peer
from sync.core.errors import WrongBlobError
from sync.models import MissingBlob

pytestmark = pytest.mark.django_db(transaction=True)
MASTER = "MASTER01-LON"


class Shelf:
    """A peer that has ``files`` by digest, and lets requests wait for each other until ``together`` of them are there."""

    def __init__(self, files: dict[str, bytes], together: int = 1) -> None:
        self.files, self.asked, self.peak, self.active = files, list[str](), 0, 0
        self.lock, self.gate = threading.Lock(), threading.Barrier(together)
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.rpartition("/")[2].partition("?")
                shelf.answer(self, path, int(query.partition("=")[2]))

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler, digest: str, offset: int) -> None:
        """Send what is asked for, or say that it is not here."""
        with self.lock:
            self.asked.append(f"{digest}@{offset}")
            self.active += 1
            self.peak = max(self.peak, self.active)
        self.gate.wait(10)
        with self.lock:
            self.active -= 1
        body = self.files.get(digest)
        if body is None:
            self._send(handler, 404, b'{"code": "blob_absent"}', {"Content-Type": "application/problem+json"})
        else:
            self._send(handler, 200, body[offset:], {"Sync-Blob-Size": str(len(body))})

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def shelve() -> Iterator[Any]:
    """Makes a peer, and notes its files as missing here."""
    made: list[Shelf] = []

    def make(*contents: bytes, together: int = 1, lacks: int = 0) -> Shelf:
        files = {hashlib.sha256(content).hexdigest(): content for content in contents}
        for digest in files:
            MissingBlob.objects.create(digest=digest)
        made.append(Shelf(dict(list(files.items())[lacks:]), together))
        return made[-1]

    yield make
    for shelf in made:
        shelf.server.shutdown()
        shelf.server.server_close()


def fetch(shelf: Shelf) -> None:
    """Ask the peer for all that is missing."""
    blob_exchange.fetch(Peer(MASTER, shelf.url), MASTER)


def contents(count: int) -> list[bytes]:
    """Files that nobody has had before, of 300 bytes."""
    return [os.urandom(300) for _ in range(count)]


def test_small_files_come_side_by_side(shelve: Any) -> None:
    """As many requests are under way at once as are allowed, and no more; all files come."""
    count = 3 * blob_exchange.PARALLEL
    shelf = shelve(*contents(count), together=blob_exchange.PARALLEL)
    fetch(shelf)
    assert shelf.peak == blob_exchange.PARALLEL and len(shelf.asked) == count
    assert all(blobs.path(digest).read_bytes() == content for digest, content in shelf.files.items())
    assert not MissingBlob.objects.exists()


def test_files_under_way_stay_within_the_budget(shelve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that are too large together one waits; one that is larger than the whole budget comes alone."""
    small = contents(6)
    size, lock, under_way, seen = len(small[0]), threading.Lock(), set[str](), list[int]()
    monkeypatch.setattr(blob_exchange, "BUDGET", 2 * size + 1)
    shelf = shelve(*small, os.urandom(10 * size))
    add_piece = incoming.add_piece

    def noting(digest: str, *rest: Any) -> int:
        with lock:
            under_way.add(digest)
            seen.append(sum(min(len(shelf.files[each]), 2 * size + 1) for each in under_way))
        threading.Event().wait(0.02)
        with lock:
            under_way.discard(digest)
        return add_piece(digest, *rest)

    monkeypatch.setattr(incoming, "add_piece", noting)
    fetch(shelf)
    assert max(seen) in (2 * size, 2 * size + 1) and 2 * size in seen
    assert not MissingBlob.objects.exists()


def test_what_came_before_is_not_fetched_again(shelve: Any) -> None:
    """A file of which a beginning is here goes on from there, also beside others."""
    shelf = shelve(*contents(5))
    begun = sorted(shelf.files)[2]
    incoming.add_piece(begun, 0, shelf.files[begun][:100], len(shelf.files[begun]))
    fetch(shelf)
    assert f"{begun}@100" in shelf.asked and sum(line.endswith("@0") for line in shelf.asked) == 4
    assert all(blobs.has(digest) for digest in shelf.files)


def test_a_bad_file_and_one_that_the_peer_lacks_keep_no_other_from_coming(shelve: Any) -> None:
    """What is damaged there is told; both stay missing."""
    shelf = shelve(*contents(8), lacks=1)
    bad = sorted(shelf.files)[3]
    shelf.files[bad] = shelf.files[bad][:-1] + b"?"
    with pytest.raises(WrongBlobError, match=bad):
        fetch(shelf)
    assert MissingBlob.objects.count() == 2 and not blobs.has(bad)
    assert sum(blobs.has(digest) for digest in shelf.files) == 6

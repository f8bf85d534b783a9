"""Something else answers at a peer's address: that peer is reported, and the exchange with all others goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from sync.core import wire
from tests.cluster.acts import look, orm, publish, pull
from tests.cluster.harness import Cluster, Replica

pytestmark = pytest.mark.cluster

STRANGE = "EDGE01-LON"
KEY = "ed25519:" + "A" * 43 + "="
HELLO = b'{"name": "EDGE01-LON", "summary": "x", "blobs_missing": 0}'


class Stranger(ThreadingHTTPServer):
    """Answers every request with the status, headers and body that stand in ``answers`` for its last path segment, or for ''."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        answers = self.server.answers  # type: ignore[attr-defined]
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        status, headers, body = answers.get(name, answers.get("", (404, {}, b"")))
        self.send_response(status)
        for key, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


class Site(NamedTuple):
    """A master whose first peer is a stranger and whose second is an edge with news."""

    master: Replica
    edge: Replica
    stranger: Stranger


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The stranger stands before the edge in the trusted list."""
    stranger = Stranger(("127.0.0.1", 0), _Answer)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    try:
        with Cluster(tmp_path_factory.mktemp("strange")) as cluster:
            master, edge = cluster.make("MASTER01", "master"), cluster.make("EDGE02", "edge", farm="thames")
            master.must("migrate", "--verbosity", "0")
            address = f"http://127.0.0.1:{stranger.server_port}"
            master.must("sync_trust", STRANGE, "--role", "edge", "--farm", "thames", "--url", address, "--key", KEY)
            cluster.prepare()
            cluster.start(workers=False)
            pull(edge, master.name)
            yield Site(master, edge, stranger)
    finally:
        stranger.shutdown()
        stranger.server_close()


BOMB = wire.pack(b"C " + b"A" * (80 << 20) + b"\n")
H = wire.pack(wire.control("H", {"protocol": 1, "name": STRANGE, "key": KEY, "tips": []}))
E = wire.pack(wire.control("E", {"count": 0}))
TO_A_PULL = [
    ((200, {}, b"<html>Please log in to the wireless network</html>"), "malformed"),
    ((200, {}, HELLO), "malformed"),
    ((200, {}, wire.pack(wire.control("H", {"name": "EDGE03-LON", "tips": []})) + E), "needs_operator"),
    ((200, {}, wire.pack(wire.control("H", {"name": STRANGE, "key": "ed25519:B", "tips": []})) + E), "needs_operator"),
    ((500, {}, b"<h1>Oops</h1>"), "http_500"),
    ((307, {"location": "/elsewhere"}, b""), "http_307"),
    ((200, {"content-length": "1000"}, H[:10]), "peer_unavailable"),
    ((200, {}, b"no frame at all"), "malformed"),
    ((200, {}, b""), "incomplete_stream"),
    ((200, {}, H), "incomplete_stream"),
    ((200, {}, E), "malformed"),
    ((200, {}, BOMB), "too_large"),
    ((200, {}, H + BOMB), "too_large"),
    ((200, {}, wire.pack(b"C AAAA {}\n")), "malformed"),
    ((200, {}, H + wire.pack(b"C AAAA {}\n")), "malformed"),
]
TO_A_HELLO = [
    ({"": (200, {}, b"<html>Please log in to the wireless network</html>")}, "malformed"),
    ({"": (200, {}, b"[]")}, "malformed"),
    ({"": (200, {}, b'{"name": "EDGE01-LON"}')}, "malformed"),
    ({"": (200, {}, HELLO.replace(b"EDGE01", b"EDGE03"))}, "needs_operator"),
    ({"": (500, {}, b"<h1>Oops</h1>")}, "http_500"),
    ({"": (307, {"location": "/elsewhere"}, b""), "elsewhere": (200, {}, HELLO)}, "http_307"),
    ({"": (200, {"content-length": "1000"}, b"{")}, "peer_unavailable"),
]


def is_reported(site: Site, command: str, code: str) -> None:
    """The command ends with one line about the stranger, and has done its work with everybody else."""
    outcome = site.master.manage(command, parse=True)
    assert outcome.code == 1 and "Traceback" not in outcome.stderr
    peers = {peer["name"]: peer for peer in outcome.answer["peers"]}
    assert peers[STRANGE]["error"]["code"] == code
    assert peers[STRANGE]["applied"] == 0
    assert peers[site.edge.name]["ok"]
    assert [line for line in outcome.stderr.splitlines() if line.startswith(STRANGE)]


@pytest.mark.parametrize(("answer", "code"), TO_A_PULL)
def test_a_stranger_is_reported_and_the_others_are_pulled(
    site: Site, answer: tuple[int, dict[str, str], bytes], code: str
) -> None:
    """Whatever answers a pull at an address, the command ends with one line about it, and has pulled from everybody else."""
    site.stranger.answers = {"pull": answer}
    is_reported(site, "sync_pull", code)


@pytest.mark.parametrize(("answers", "code"), TO_A_HELLO)
def test_a_stranger_is_reported_and_the_others_are_pushed_to(
    site: Site, answers: dict[str, tuple[int, dict[str, str], bytes]], code: str
) -> None:
    """The same of a push, which begins with a hello."""
    site.stranger.answers = answers
    is_reported(site, "sync_push", code)


def test_news_behind_a_stranger_arrive(site: Site) -> None:
    """News of the edge arrive though the peer before it answers nonsense."""
    site.stranger.answers = {"": TO_A_PULL[0][0]}
    publish(site.edge, "High water")
    assert not site.master.manage("sync_pull", parse=True).answer["peers"][0]["ok"]
    assert set(look(site.edge).log) <= set(look(site.master).log)
    assert orm(site.master, "from content.models import Page\nanswer = Page.objects.count()") == 1

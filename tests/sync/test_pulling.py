"""Asking at once for what is new: who answers is looked at first, and nothing that a hello would have brought is lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sync import contacts, exchange, pulling
from sync.at_once import AtOnce
from sync.conversation import exchange_with
from sync.core import wire
from sync.core.changeset import Changeset
from sync.core.policy import Verb
from sync.models import Contact, Entry
from sync.peers import Listed, others
from sync.result import Result
from tests.sync.origins import Origin, arrive, framed, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "NODE01-LON-43AX-7K2M9QX1-221126143015"
OTHER_KEY = "ed25519:" + "A" * 43 + "="


class Server(ThreadingHTTPServer):
    """Answers the last path segment of a request by what stands in ``answers`` for it: pieces, each sent when it is made."""

    daemon_threads = True
    answers: dict[str, Callable[[], Iterator[bytes]]]
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        self.server.asked.append(name)
        pieces = iter(self.server.answers[name]())
        first = next(pieces)
        self.send_response(200)
        self.end_headers()
        for piece in (first, *pieces):
            self.wfile.write(piece)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


class Node:
    """A trusted replica that is nothing but a key and a server."""

    def __init__(self, server: Server) -> None:
        self.server, self.origin = server, Origin("NODE01-LON").trust_here()
        trusted = others()[self.origin.name]
        self.listed = Listed(trusted.name, f"http://127.0.0.1:{server.server_port}", trusted.key, trusted.party)

    def holds(self, *made: Changeset, key: str | None = "", pause: Callable[[], None] = lambda: None) -> None:
        """Answer pulls with ``made``, after ``pause``; ``key`` as an H line has it, None as one of an older release has not."""
        tips = exchange.tips_as_json(exchange.TipAt(c.head.chain, c.head.seq, c.dot) for c in made[-1:])
        first: dict[str, Any] = {"protocol": 1, "name": self.origin.name, "tips": tips}
        if key is not None:
            first["key"] = key or self.listed.key

        def pull() -> Iterator[bytes]:
            yield wire.pack(wire.control("H", first))
            pause()
            yield framed(*made).raw + wire.pack(wire.control("E", {"count": len(made)}))

        self.server.answers["pull"] = pull

    def says_hello(self, key: str) -> None:
        """Answer a hello with ``key``."""
        hello = {"name": self.origin.name, "key": key, "summary": "x", "blobs_missing": 0}
        self.server.answers["hello"] = lambda: iter([json.dumps(hello).encode()])

    def pull(self) -> Result:
        """Pull from it."""
        return exchange_with(self.listed, {Verb.PULL})


@pytest.fixture
def node() -> Iterator[Node]:
    """One that answers."""
    server = Server(("127.0.0.1", 0), _Handler)
    server.answers, server.asked = {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Node(server)
    server.shutdown()
    server.server_close()


def test_a_stream_that_has_begun_may_pause_longer_than_a_hello(node, monkeypatch):
    """Who has said who it is has the patience that work needs."""
    monkeypatch.setattr(pulling, "HELLO", 0.3)
    node.holds(node.origin.make(title(TOKEN, "One")), pause=lambda: time.sleep(0.8))
    result = node.pull()
    assert (result.ok, result.applied) == (True, 1), result
    assert node.server.asked == ["pull"]


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_of_a_replica_with_another_key_nothing_is_taken_whatever_release_it_is(node, key):
    """An older one says its key in a hello only, and is asked for it."""
    node.holds(node.origin.make(title(TOKEN, "One")), key=key)
    node.says_hello(OTHER_KEY)
    result = node.pull()
    assert not result.ok and "another key" in result.error["detail"]
    assert not Entry.objects.filter(chain__name=node.origin.name).exists()
    assert Contact.objects.get(name=node.origin.name).last_contact is None


def test_nothing_is_taken_at_once_of_a_replica_that_has_changed_its_key_since_it_was_greeted(node):
    """A pull that follows on a change looks who answers, like any other."""
    node.holds(node.origin.make(title(TOKEN, "One")), key=OTHER_KEY)
    result = exchange_with(node.listed, {Verb.PULL}, kind=AtOnce)
    assert not result.ok and "another key" in result.error["detail"]
    assert not Entry.objects.filter(chain__name=node.origin.name).exists()


def test_an_older_release_with_the_right_key_is_pulled_from(node):
    """By one request more."""
    node.holds(node.origin.make(title(TOKEN, "One")), key=None)
    node.says_hello(node.listed.key)
    assert node.pull().applied == 1
    assert node.server.asked == ["pull", "hello"]


def test_what_another_pull_brought_meanwhile_is_not_taken_again(node):
    """Where it ended between the question and the answer, the answer is let go; that the peer was in touch is noted all the same."""
    made = node.origin.make(title(TOKEN, "One"))
    contacts.failed(node.listed.name, {"code": "peer_unavailable", "detail": "it was away"})
    node.holds(made)
    whole = node.server.answers["pull"]

    def pull() -> Iterator[bytes]:
        arriving = threading.Thread(target=_arrive, args=[made])
        arriving.start()
        arriving.join()
        yield from whole()

    node.server.answers["pull"] = pull
    result = node.pull()
    assert (result.ok, result.received) == (True, 0), result
    contact = Contact.objects.get(name=node.listed.name)
    assert contact.error is None and contact.last_contact is not None and len(contact.tips) == 1
    assert node.server.asked == ["pull"]


def _arrive(made: Changeset) -> None:
    from django.db import connection

    arrive(made)
    connection.close()

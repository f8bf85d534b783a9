"""A captured request is good for nothing: not again, and not while nothing can be written either, but for what only reads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from sync import conf, http_signatures, incoming, invites, missing, trusting
from sync.api.authentication import Unwritten
from sync.core import wire
from sync.core.policy import Role
from sync.db import sql
from sync.models import Contact, MissingBlob, Nonce
from tests.sync.origins import Origin, arrive, framed, title

pytestmark = pytest.mark.django_db(transaction=True)

NORMAL, FULL = 1, 2  # of SQLite's ``PRAGMA synchronous``
TOKEN = "NODE01-LON-43AX-7K2M9QX1-221126143015"


class Peer:
    """A replica that sends signed requests; what it sent can be sent again."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def signed(self, method: str, path: str, body: bytes = b"", audience: str = "") -> dict[str, Any]:
        """Return a request as somebody on the way could capture it."""
        message = http_signatures.Message(
            method, f"http://{conf.name().lower()}/sync/v1/{path}", {"content-type": "application/json"}
        )
        whom = audience or conf.name()
        http_signatures.sign(message, body, key=self.origin.key, replica=self.origin.name, audience=whom, now=int(time.time()))
        headers = {name: value for name, value in message.headers.items() if name.lower() != "content-type"}
        return {
            "method": method,
            "path": f"/sync/v1/{path}",
            "data": body,
            "content_type": "application/json",
            "CONTENT_TYPE": "application/json",
            "headers": headers,
        }

    @staticmethod
    def send(request: dict[str, Any]) -> Any:
        """Send a request, for the first time or again."""
        return Client().generic(**request)


@pytest.fixture
def peer() -> Peer:
    """A node, which may do all that it asks for here."""
    return Peer(Origin("NODE01-LON", Role.NODE).trust_here())


@pytest.fixture
def full_disk() -> Iterator[None]:
    """SQLite says that the disk is full, as it does where it cannot make the file larger."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite can be told how large its file may become")
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            for width in (100, 1):  # at last there is no room even in the pages that are there
                with pytest.raises(OperationalError, match="full"):
                    for number in range(1_000_000):
                        Nonce.objects.create(nonce=f"{width}-{number:0{width}}", expires=timezone.now())
            yield
        finally:
            make_room()


def make_room() -> None:
    """The disk is full no longer."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1073741823")


BLOB = "ab" * 32
READS = [
    ("GET", "hello", b"", 200),
    ("GET", "tips", b"", 200),
    ("POST", "values", b'{"wanted": []}', 200),
    ("POST", "verify", b"{}", 200),
    ("GET", f"blobs/{BLOB}", b"", 404),
    ("POST", "pull", b'{"have": []}', 200),
]
WRITES = [
    ("POST", "push", framed().raw, 200),
    ("PUT", "values", b"".join(missing.bodies([b'"A value that nobody here waits for."'], wire.FRAME_BYTES)), 200),
    ("PUT", f"blobs/{BLOB}?offset=0&total=2", b"x", 202),
    ("POST", "wake", b"", 204),
    ("POST", "join", b'{"role": "edge", "secret": "guessed"}', 403),
]
EVERY = pytest.mark.parametrize(
    ("method", "path", "body", "status"), READS + WRITES, ids=[f"{method} {path[:6]}" for method, path, *_ in READS + WRITES]
)


@pytest.fixture
def wanted() -> Iterator[None]:
    """Something here names a blob that has not come. A beginning of it does not outlive the test."""
    MissingBlob.objects.create(digest=BLOB)
    yield
    incoming.drop(BLOB)


@EVERY
def test_a_captured_request_is_refused_the_second_time(peer, wanted, method, path, body, status):
    """Whatever it asks for, also where it only reads, or was refused the first time."""
    request = peer.signed(method, path, body)
    assert peer.send(request).status_code == status
    again = peer.send(request)
    assert (again.status_code, again.json()["code"]) == (401, "signature_replayed")


@pytest.mark.parametrize(("length", "status"), [(1, 200), (64, 200), (65, 401)])
def test_a_nonce_has_at_most_64_characters(peer, monkeypatch, length, status):
    """As the protocol says: what is kept for a while is bounded."""
    monkeypatch.setattr(http_signatures.secrets, "token_urlsafe", lambda size: "n" * length)
    assert peer.send(peer.signed("GET", "hello")).status_code == status


@pytest.mark.parametrize("path", ["pull", "verify", "values", "join"])
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{"])
def test_a_body_that_is_no_object_is_malformed(peer, path, body):
    """An empty one too: it says nothing of what the sender has."""
    answer = peer.send(peer.signed("POST", path, body))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "\0"},
        {"url": "javascript:x"},
        {"url": "http://a b"},
        {"url": None},
        {"farm": "a b"},
        {"farm": "\0"},
        {"role": "king"},
    ],
    ids=str,
)
def test_a_newcomer_brings_what_sync_trust_would_take(wrong):
    """An address that nobody could call, or a name that is none, is malformed and not entered, and the invitation is still good."""
    code = invites.invite(Role.EDGE, "thames", timedelta(minutes=1))
    newcomer = Peer(Origin("EDGE07-LON"))
    right = {"secret": code.secret, "role": "edge", "farm": "thames", "url": "http://edge07.example.org"}
    answer = newcomer.send(newcomer.signed("POST", "join", json.dumps({**right, **wrong}).encode()))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "EDGE07-LON" not in trusting.current().entries
    assert newcomer.send(newcomer.signed("POST", "join", json.dumps(right).encode())).status_code == 200


@EVERY
def test_a_captured_request_is_refused_at_another_peer(peer, wanted, method, path, body, status):
    """It names whom it is meant for."""
    answer = peer.send(peer.signed(method, path, body, audience="MASTER02-LON"))
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_audience")


@EVERY
def test_a_captured_request_is_refused_at_another_address(peer, wanted, method, path, body, status):
    """What was signed for one address is nothing at another, though that takes the same method."""
    others = {"GET": (f"blobs/{'cd' * 32}",), "POST": ("wake", "join"), "PUT": ("values?x=1",)}
    for other in [f"{path}{'&' if '?' in path else '?'}again=1", *others[method]]:
        if other != path:
            answer = peer.send({**peer.signed(method, path, body), "path": f"/sync/v1/{other}"})
            assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid"), other


@EVERY
def test_only_the_nonce_of_a_request_that_changes_nothing_does_not_wait_for_the_disk(peer, wanted, method, path, body, status):
    """Whatever comes after it on the same connection waits again; and it is refused the second time like any other."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has one way of committing here")
    found: list[tuple[str, int]] = []

    def note(execute: Any, text: str, params: Any, many: bool, context: Any) -> Any:
        if text.startswith(("INSERT", "UPDATE", "DELETE")):
            level = connection.connection.execute("PRAGMA synchronous").fetchone()[0]
            found.append((text.split('"')[1], level))
        return execute(text, params, many, context)

    with connection.execute_wrapper(note):
        assert peer.send(peer.signed(method, path, body)).status_code == status
    reads = (method, path, body, status) in READS
    assert [level for table, level in found if table == Nonce._meta.db_table][:1] == [NORMAL if reads else FULL]
    assert {level for table, level in found if table not in (Nonce._meta.db_table, Contact._meta.db_table)} <= {FULL}
    assert connection.connection.execute("PRAGMA synchronous").fetchone()[0] == FULL


def test_what_does_not_wait_for_the_disk_is_waited_for_again_after_a_mistake():
    """And within a transaction of somebody else nothing is changed."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has one way of committing here")
    with pytest.raises(ZeroDivisionError), sql.without_waiting_for_the_disk():
        assert connection.connection.execute("PRAGMA synchronous").fetchone()[0] == NORMAL
        raise ZeroDivisionError
    assert connection.connection.execute("PRAGMA synchronous").fetchone()[0] == FULL
    with transaction.atomic(), sql.without_waiting_for_the_disk():
        assert connection.connection.execute("PRAGMA synchronous").fetchone()[0] == FULL


def test_a_replica_with_a_full_disk_can_be_pulled_from(peer, full_disk):
    """What only it has is fetched from it; that the contact cannot be noted is no reason to refuse."""
    for method, path, body, status in READS:
        answer = peer.send(peer.signed(method, path, body))
        assert answer.status_code == status, path
    frames = list(wire.frames([b"".join(answer.streaming_content)]))
    assert frames[-1].last == {"count": sum(len(frame.changesets) for frame in frames)}


def test_what_changes_something_is_refused_while_the_disk_is_full(peer, full_disk):
    """With the code that says so; nothing of it is stored."""
    frame = framed(peer.origin.make(title(TOKEN, "x"))).raw
    for method, path, body in (
        ("POST", "push", frame),
        ("POST", "wake", b""),
        ("PUT", f"blobs/{'ab' * 32}?offset=0&total=1", b"x"),
    ):
        answer = peer.send(peer.signed(method, path, body))
        assert (answer.status_code, answer.json()["code"]) == (503, "not_writable"), path


def test_a_request_that_was_captured_before_the_disk_was_full_is_refused(peer, request):
    """Its nonce is stored."""
    captured = peer.signed("GET", "tips")
    assert peer.send(captured).status_code == 200
    request.getfixturevalue("full_disk")
    assert peer.send(captured).json()["code"] == "signature_replayed"


def test_a_request_that_was_captured_while_the_disk_is_full_is_refused_by_the_process_that_took_it(peer, full_disk):
    """Also when there is room again. And its answer held nothing that whoever captured it had not seen."""
    captured = peer.signed("GET", "tips")
    assert peer.send(captured).status_code == 200
    assert peer.send(captured).json()["code"] == "signature_replayed"
    make_room()
    assert peer.send(captured).json()["code"] == "signature_replayed"


def test_what_is_kept_in_memory_is_bounded_and_forgotten_in_time():
    """With no room left for a nonce its request is refused, since it could come again."""
    kept, now = Unwritten(room=2), time.monotonic()
    assert kept.spend("a", now - 1) and kept.spend("b", now + 60)
    assert kept.spend("c", now + 60)
    assert not kept.spend("d", now + 60)
    assert not kept.spend("b", now + 60)


def test_it_takes_in_again_when_there_is_room(peer):
    """By itself."""
    assert arrive(peer.origin.make(title(TOKEN, "x"))).applied == 1

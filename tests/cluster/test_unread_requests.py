"""Requests that gunicorn cannot read never reach the program, and are answered as programs expect it of every error here."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from tests.cluster.harness import Cluster, Replica, eventually
from tests.cluster.zygote import Zygote

pytestmark = pytest.mark.cluster

HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A replica with one worker."""
    with Cluster(tmp_path_factory.mktemp("unread")) as cluster:
        made = cluster.make("MASTER01", "master")
        with Zygote(made) as zygote:
            zygote.must("migrate", "--verbosity", "0")
            zygote.web()
            eventually(lambda: made.why_not_ready() == "", timeout=60)
            yield made


def answer(replica: Replica, request: bytes) -> tuple[HTTPResponse, bytes]:
    """Send ``request`` as it is and return what answers, with its body."""
    with socket.create_connection(("127.0.0.1", replica.port), timeout=30) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        return response, response.read()


@pytest.mark.parametrize("path", [b"/api/v1/pages/", b"/sync/v1/hello", b"/admin/"])
@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET %s?" + b"x" * 8192 + b" HTTP/1.1\r\n" + HOST, 414, "uri_too_long"),
        (b"GET %s HTTP/1.1\r\n" + HOST + b"X-Long: " + b"x" * 8192 + b"\r\n", 431, "headers_too_large"),
        (b"GET %s HTTP/1.1\r\n" + HOST + b"X: x\r\n" * 200, 431, "headers_too_large"),
        (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: abc\r\n", 400, "bad_request"),
        (b"GET %s HTTP/one\r\n" + HOST, 400, "bad_request"),
        (b"POST %s HTTP/1.1\r\n" + HOST + b'Transfer-Encoding: \xe9"<b>\r\n', 501, "transfer_coding_unknown"),
    ],
)
def test_a_request_that_cannot_be_read_is_answered_by_a_problem(
    replica: Replica, path: bytes, head: bytes, status: int, code: str
) -> None:
    """It has a stable code, whatever the path, and says what is wrong; the same worker answers the next request."""
    response, body = answer(replica, head.replace(b"%s", path) + b"\r\n")
    problem = json.loads(body)
    assert (response.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:edgecms:problem:{code}" and problem["title"] and problem["detail"]
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Content-Length"]) == len(body) and response.headers["Connection"] == "close"
    response, body = answer(replica, b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert response.status == 200


def test_an_address_of_eight_thousand_characters_is_read(replica: Replica) -> None:
    """As long as the proxy before it lets through: it is the program that answers."""
    response, _ = answer(replica, b"GET /healthz?" + b"x" * 8000 + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert response.status == 200

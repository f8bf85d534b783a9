"""Answers that are sent in one piece are, byte for byte, those that gunicorn sends in two."""

from __future__ import annotations

import re
import socket

from gunicorn import http
from gunicorn.config import Config
from gunicorn.http import wsgi
from hypothesis import given
from hypothesis import strategies as st

from content.pagecache.wsgi import Lines
from edgecms.response import SMALL, Response

HEADERS = (("Content-Type", "text/html"), ("ETag", '"6f-1a"'), ("X-Spaces", " kept as they are\t"), ("Vary", "Accept"))
STATUSES = ("200 OK", "204 No Content", "304 Not Modified", "404 Not Found")


def sent(kind: type[wsgi.Response], method: str, status: str, headers: list[tuple[str, str]], body: list[bytes]) -> bytes:
    """Return what a client receives, but for the time of day."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        config = Config()
        response = kind(next(http.get_parser(config, ours, ("127.0.0.1", 5000))), ours, config)
        response.start_response(status, headers)
        for piece in body:
            response.write(piece)
        response.close()
        ours.shutdown(socket.SHUT_WR)
        with theirs.makefile("rb") as file:
            return re.sub(rb"\r\nDate: [^\r]+", b"", file.read())


@given(
    st.sampled_from(("GET", "HEAD", "POST")),
    st.sampled_from(STATUSES),
    st.lists(st.sampled_from(HEADERS), unique=True),
    st.none() | st.integers(0, 12),
    st.lists(st.binary(max_size=9), max_size=3),
)
def test_any_answer_is_the_same_to_the_byte(
    method: str, status: str, headers: list[tuple[str, str]], length: int | None, body: list[bytes]
) -> None:
    """Whatever an application says: with and without a length, a right one or not, in no, one or several pieces; also once more."""
    told = [*headers, *([] if length is None else [("Content-Length", str(length))])]
    expected, kept = sent(wsgi.Response, method, status, told, body), Lines(told)
    assert [sent(Response, method, status, each, body) for each in (told, kept, kept)] == [expected] * 3


def test_a_body_just_small_enough_and_one_that_is_too_large_are_the_same_to_the_byte() -> None:
    """Both sides of the bound of what goes out in one piece."""
    for size in (SMALL, SMALL + 1):
        told = [("Content-Length", str(size))]
        assert sent(Response, "GET", "200 OK", told, [b"x" * size]) == sent(wsgi.Response, "GET", "200 OK", told, [b"x" * size])

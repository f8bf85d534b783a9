"""Where the time goes when gunicorn answers a page from the folder: microseconds of the processor, by one thread and connection.

``python -m bench.request [--pages 1000] [--rounds 9]``. Threads that wait for each other, and the client, come on top under load.
"""

from __future__ import annotations

import argparse
import secrets
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from gunicorn import http
from gunicorn.config import Config
from gunicorn.http import wsgi

from bench.plain import hello

ADDRESS = ("127.0.0.1", 8000)
HEADERS = {
    "Cache-Control": "public, max-age=0, must-revalidate",
    "Content-Security-Policy": "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
PARTS = ("read", "environ", "application", "send")


def served(folder: Path, count: int) -> tuple[Any, list[str]]:
    """Return the layer in front of Django over ``count`` pages of 5.5 KB, and their addresses."""
    from content.pagecache.folder import PageFolder
    from content.pagecache.media import MediaFiles
    from content.pagecache.wsgi import PageCache
    from edgecms.metrics import count_kept

    pages = PageFolder(folder / "pages")
    pages.change(None).end()
    paths = [f"/news-43ax/five-words-of-a-title-{number:04}ab" for number in range(count)]
    for path in paths:
        body = secrets.token_bytes(2_000) + b"x" * 3_500
        if not pages.keep(path, pages.epoch(), "text/html; charset=utf-8", list(HEADERS.items()), body):
            raise RuntimeError(f"{path} was not kept")
    return PageCache(MediaFiles(hello, pages, count=count_kept), pages, count=count_kept), paths


def ask(ours: socket.socket, theirs: socket.socket, application: Any, kind: type, paths: Sequence[str]) -> dict[str, float]:
    """Answer each of ``paths`` once; return the microseconds of each part of one request."""
    config, spent = Config(), dict.fromkeys(PARTS, 0.0)
    parser = http.get_parser(config, ours, ADDRESS)
    wsgi.Response = kind
    for path in paths:
        theirs.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:8000\r\n\r\n".encode())
        times = [time.thread_time()]
        request = next(parser)
        times.append(time.thread_time())
        response, environ = wsgi.create(request, ours, ADDRESS, ADDRESS, config)
        times.append(time.thread_time())
        pieces = application(environ, response.start_response)
        times.append(time.thread_time())
        for piece in pieces:
            response.write(piece)
        response.close()
        times.append(time.thread_time())
        if not receive(theirs).startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} was not answered")
        for part, begin, end in zip(PARTS, times, times[1:], strict=False):
            spent[part] += (end - begin) / len(paths) * 1e6
    return spent


def receive(theirs: socket.socket) -> bytes:
    """Return one answer, head and body."""
    answer = b""
    while (body := answer.partition(b"\r\n\r\n")[2]) == b"" or len(body) < 5_500:
        answer += theirs.recv(1 << 16)
    return answer


def main() -> None:
    """Measure everybody in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    settings.configure()
    from edgecms.response import Response

    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        for side in (ours, theirs):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        application, paths = served(Path(folder), options.pages)
        everybody = {
            "hello world at /": (hello, wsgi.Response, ["/"] * len(paths)),
            "hello world at the same addresses": (hello, wsgi.Response, paths),
            "pages, gunicorn's own response": (application, wsgi.Response, paths),
            "pages": (application, Response, paths),
        }
        with ours, theirs:
            for _ in range(options.rounds):
                for name, (asked, kind, addresses) in everybody.items():
                    for part, spent in ask(ours, theirs, asked, kind, addresses).items():
                        found[name][part].append(spent)
    print(f"{'':36}{''.join(f'{part:>13}' for part in (*PARTS, 'all'))}")
    for name, parts in found.items():
        medians = [statistics.median(spent) for spent in parts.values()]
        print(f"{name:36}{''.join(f'{value:13.1f}' for value in (*medians, sum(medians)))}")


if __name__ == "__main__":
    main()

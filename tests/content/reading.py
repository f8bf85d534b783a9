"""Readers who ask the layers in front of Django, and Django behind them, as gunicorn does."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from django.core.wsgi import get_wsgi_application

from content.pagecache import stale
from content.pagecache.media import MediaFiles
from content.pagecache.wsgi import PageCache


class Answer:
    """What the layer answered."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.code, self.headers, self.body = int(status[:3]), dict(headers), body
        self.text = body.decode(errors="replace")


class Reader:
    """Somebody who reads through the layer. ``rendered`` counts the requests that came to Django."""

    def __init__(self) -> None:
        self.rendered = 0
        self.django = get_wsgi_application()
        self.during: Callable[[], object] = lambda: None
        self.cache = PageCache(MediaFiles(self._counted, stale.folder()), stale.folder())

    def _counted(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.rendered += 1
        result = self.django(environ, start_response)
        self.during()
        return result

    def get(self, path: str, method: str = "GET", query: str = "", **headers: str) -> Answer:
        """Ask for ``path``."""
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        answer: list[Any] = []
        body = b"".join(self.cache(environ, lambda status, headers, exc_info=None: answer.extend((status, headers))))
        return Answer(answer[0], answer[1], body)

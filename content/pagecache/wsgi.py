"""The layer in front of Django: answers GET and HEAD of public pages from the folder, and fills it."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from content.pagecache.folder import PageFolder, file_of
from content.pagecache.forms import FORMS, accepted

SLUG = "[a-z0-9_-]{0,250}[0-9]{2}[a-z]{2}"
KEEPABLE = re.compile(rf"/|/feed|/sitemap\.xml|/{SLUG}(?:/{SLUG})?")
KEEP = "edgecms.keep"  # a view sets this in the environ of a request whose answer is for everybody, until a commit changes it
DERIVED = {"content-length", "content-encoding", "etag", "last-modified", "vary", "date", "content-type"}
KEPT = "edgecms.kept"  # is set in the environ of a request that was answered from the folder
UNCONDITIONAL = ("HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
MEMORY_BYTES = 32 << 20  # of pages in the memory of one process

Headers = list[tuple[str, str]]


class Lines(Headers):
    """Headers that are sent over and over. Whoever sends them may note in ``checked`` what it has made of them."""

    checked: Any = None


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a page, ready to be sent."""

    body: bytes
    headers: Lines
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it stood in ``file``. ``version`` (inode, time in ns) tells whether it still does; ``second`` is its time."""

    file: str
    version: tuple[int, int]
    second: int
    forms: dict[str, Form]

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return sum(len(form.body) for form in self.forms.values())


class PageCache:
    """A WSGI application around ``application``. ``count`` is told the method and status of what is answered from the folder."""

    def __init__(self, application: Application, folder: PageFolder, count: Callable[[str, int], None] | None = None) -> None:
        self.application, self.folder, self.count = application, folder, count or (lambda method, status: None)
        self.pages: dict[str, Page] = {}
        self.bytes = 0
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer from the folder where the page is there; else render it, keep it, and answer."""
        method, address = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if method not in ("GET", "HEAD") or environ.get("QUERY_STRING"):
            return self.application(environ, start_response)
        if address not in self.pages and not KEEPABLE.fullmatch(address):
            return self.application(environ, start_response)
        page = self._page(address)
        if page is None:
            with self.folder.turn(address):
                page = self._page(address)  # another request may have rendered it meanwhile
                if page is None:
                    return self._render(environ, start_response)
        return self._answer(page, environ, start_response)

    # -- answering --------------------------------------------------------------------------------

    def _page(self, address: str) -> Page | None:
        known = self.pages.get(address)
        file = known.file if known else f"{self.folder.root}/{file_of(address)}"
        try:
            found = os.stat(file)  # noqa: PTH116 - the one system call of a request
        except OSError:
            self._forget(address)
            return None
        if known is not None and known.version == (found.st_ino, found.st_mtime_ns):
            return known
        return self._load(address, file, found)

    def _load(self, address: str, file: str, found: os.stat_result) -> Page | None:
        try:
            meta = json.loads(_read(f"{file}.meta"))
            bodies = {name: body for name, ending in FORMS.items() if (body := _read(f"{file}{ending}", optional=bool(ending)))}
            if os.stat(file).st_ino != found.st_ino:  # noqa: PTH116 - replaced while it was read
                return None
        except (OSError, ValueError):
            return None
        version, second = (found.st_ino, found.st_mtime_ns), int(found.st_mtime)
        page = Page(file, version, second, {name: _form(name, body, meta, second) for name, body in bodies.items()})
        self._remember(address, page)
        return page

    def _remember(self, address: str, page: Page) -> None:
        with self.lock:
            self._drop(address)
            self.pages[address] = page
            self.bytes += page.size
            while self.bytes > MEMORY_BYTES and len(self.pages) > 1:
                self._drop(next(iter(self.pages)))

    def _forget(self, address: str) -> None:
        with self.lock:
            self._drop(address)

    def _drop(self, address: str) -> None:
        page = self.pages.pop(address, None)
        self.bytes -= page.size if page else 0

    def _answer(self, page: Page, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        names = accepted(environ.get("HTTP_ACCEPT_ENCODING", ""))
        form = next(page.forms[name] for name in names if name in page.forms)
        method = environ["REQUEST_METHOD"]
        environ[KEPT] = True
        if is_known(environ, form.etag, page.second):
            self.count(method, 304)
            start_response("304 Not Modified", [h for h in form.headers if h[0] not in ("Content-Length", "Content-Encoding")])
            return []
        self.count(method, 200)
        start_response("200 OK", form.headers)
        return [] if method == "HEAD" else [form.body]

    # -- filling ----------------------------------------------------------------------------------

    def _render(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        epoch, inner = self.folder.epoch(), {**environ, "REQUEST_METHOD": "GET"}
        for name in UNCONDITIONAL:
            inner.pop(name, None)
        answer: list[Any] = []
        result = self.application(inner, lambda status, headers, exc_info=None: answer.extend((status, headers)))
        try:
            body = b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        status, headers = answer[0], answer[1]
        if inner.get(KEEP) and status.startswith("200"):
            kind = next((value for name, value in headers if name.lower() == "content-type"), "text/html")
            rest = [(name, value) for name, value in headers if name.lower() not in DERIVED]
            if self.folder.keep(environ["PATH_INFO"], epoch, kind, rest, body):
                page = self._page(environ["PATH_INFO"])
                if page is not None:
                    return self._answer(page, environ, start_response)
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _read(path: str, optional: bool = False) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        if optional:
            return b""
        raise


def _form(name: str, body: bytes, meta: dict[str, Any], second: int) -> Form:
    """Make one form ready. Its ETag is what nginx would give the same file: time and size in hex."""
    etag = f'"{second:x}-{len(body):x}"'
    encoding = [("Content-Encoding", name)] if name != "identity" else []
    lines: Headers = [
        ("Content-Type", str(meta["type"])),
        ("Content-Length", str(len(body))),
        *encoding,
        ("ETag", etag),
        ("Last-Modified", formatdate(second, usegmt=True)),
        ("Vary", "Accept-Encoding"),
        *((str(header), str(value)) for header, value in meta["headers"]),
    ]
    return Form(body, Lines(lines), etag)


def is_known(environ: dict[str, Any], etag: str, second: int) -> bool:
    """Say whether the client has what bears ``etag`` and this time already (RFC 9110, section 13.2.2)."""
    tags = environ.get("HTTP_IF_NONE_MATCH")
    if tags is not None:
        return tags.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    try:
        return since is not None and parsedate_to_datetime(since).timestamp() >= second
    except (TypeError, ValueError):
        return False

"""Media as files in the folder of public pages: originals are links to their blobs, renditions stand beside them.

``media/<digest>/<name>`` and ``media/<digest>/640w/<name>``. An address never shows anything else, so a file is only ever there or
not: it appears once somebody has asked for it and its asset was found, and goes when the asset is changed or deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from pathlib import Path, PurePath
from typing import Any

from content.pagecache.folder import MEDIA, PageFolder
from content.pagecache.wsgi import KEPT, Headers, is_known

ADDRESS = re.compile(
    rf"/{MEDIA}/(?P<digest>[0-9a-f]{{64}})/(?:(?P<width>[0-9]{{2,4}})w/)?(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)"
)
# What browsers show, by the ending of the name. All else is downloaded.
SHOWN = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
}
OTHER = "application/octet-stream"
INLINE = re.compile(r"(image|audio|video)/[\w.+-]+|application/pdf|text/plain")
# What is opened by itself can run nothing and reach nothing. Browsers show no PDF in a sandbox, and run none of its scripts.
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
FRAMED = "frame-ancestors 'self'"
CHUNK = 1 << 16
MAX_BYTES = 1 << 30  # of all renditions; originals are links, and take no room of their own
LOOK_EVERY = 100  # renditions kept between two looks at their size

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def kind_of(name: str) -> str:
    """Return the type under which a file of this name is answered."""
    return SHOWN.get(PurePath(name).suffix.lower(), OTHER)


def fits(name: str, content_type: str) -> bool:
    """Say whether a server that knows nothing but the name answers right: it sees neither the row nor the content."""
    shown = kind_of(name)
    return shown == content_type if shown != OTHER else not is_shown(content_type)


def is_shown(content_type: str) -> bool:
    """Say whether browsers may show this inside the site; all else is downloaded."""
    return INLINE.fullmatch(content_type) is not None


def headers(kind: str) -> Headers:
    """Return the headers of media of this type, but for those of the content."""
    policy = FRAMED if kind == "application/pdf" else ALONE
    disposition = [] if is_shown(kind) else [("Content-Disposition", "attachment")]
    return [
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "same-origin"),
        ("X-Frame-Options", "SAMEORIGIN"),
        *disposition,
    ]


def etag(found: os.stat_result) -> str:
    """Return the ETag that nginx gives the same file."""
    return f'"{int(found.st_mtime):x}-{found.st_size:x}"'


class MediaFiles:
    """A WSGI application around ``application``: answers GET and HEAD of media that are in the folder."""

    def __init__(self, application: Application, folder: PageFolder, count: Callable[[str, int], None] | None = None) -> None:
        self.application, self.root, self.count = application, str(folder.root), count or (lambda method, status: None)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer from the folder where the file is there; else let Django answer, which puts it there."""
        method, address = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if method not in ("GET", "HEAD") or not address.startswith(f"/{MEDIA}/") or not ADDRESS.fullmatch(address):
            return self.application(environ, start_response)
        try:
            file = open(f"{self.root}{address}", "rb")  # noqa: PTH123, SIM115 - closed by who sends it
        except OSError:
            return self.application(environ, start_response)
        found = os.fstat(file.fileno())
        kind = kind_of(address)
        told = [("ETag", etag(found)), *headers(kind)]
        told.append(("Last-Modified", formatdate(int(found.st_mtime), usegmt=True)))
        environ[KEPT] = True
        if is_known(environ, told[0][1], int(found.st_mtime)):
            file.close()
            self.count(method, 304)
            start_response("304 Not Modified", told)
            return []
        self.count(method, 200)
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(found.st_size)), *told])
        if method == "HEAD":
            file.close()
            return []
        wrapper = environ.get("wsgi.file_wrapper", _pieces)
        return wrapper(file, CHUNK)


def _pieces(file: Any, size: int) -> Iterator[bytes]:
    with file:
        while piece := file.read(size):
            yield piece


def keep(folder: PageFolder, address: str, source: Path, is_asked_for: Callable[[], bool]) -> bool:
    """Put ``source`` at ``address``, as a link; return whether it is there.

    ``is_asked_for`` says whether an asset names it still; where a change is under way the file stays away. A full disk keeps nothing.
    """
    epoch = folder.epoch()
    if not is_asked_for():
        return False
    target = folder.root / address.strip("/")
    with contextlib.suppress(OSError), folder.locked():
        if folder.is_settled(epoch):
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _link(source, target)
            return True
    return False


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def bound(folder: PageFolder) -> None:
    """Remove all renditions where they have grown beyond their bound: what is looked at comes back."""
    made = list((folder.root / MEDIA).glob("*/*w"))
    if len(made) % LOOK_EVERY == 0:
        size = sum(file.stat().st_size for place in made for file in place.iterdir())
        if size > MAX_BYTES:
            for place in made:
                shutil.rmtree(place, ignore_errors=True)

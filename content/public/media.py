"""Serves the blobs that assets name, and pictures of them in other sizes. An address may be kept for ever: its content never changes.

What is answered here is put into the folder of public pages, from where the next request is answered without Django.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date
from django.views.decorators.http import require_safe

from content import renditions
from content.models import Asset
from content.pagecache import media as files
from content.pagecache import stale
from content.pagecache.folder import UNFINISHED
from content.public.pages import missing
from sync import blobs, scratch

WEBP = "image/webp"
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


@require_safe
def media(request: HttpRequest, digest: str, filename: str) -> Any:
    """Answer with the content of an asset; with a placeholder where its row is here and its content has not come yet."""
    asset = _named(digest, lambda name: name == filename)
    if asset is None:
        return missing(request)
    if not blobs.has(digest):
        return _not_here_yet(asset, asset.width, asset.height)
    kind = asset.content_type if CONTENT_TYPE.fullmatch(asset.content_type) else files.OTHER
    if asset.filename == filename and files.fits(filename, kind):
        _keep(request, blobs.path(digest), lambda: Asset.objects.filter(pk=asset.pk, digest=digest, filename=filename).exists())
    return _file(request, blobs.path(digest), kind, asset.filename)


@require_safe
def rendition(request: HttpRequest, digest: str, width: int, filename: str) -> Any:
    """Answer with a picture in another width, made now; with the original where there is no other width."""
    asset = _named(digest, lambda name: renditions.address(f"/{name}", width) == f"/{width}w/{filename}")
    if asset is None or width not in renditions.widths(asset.filename, asset.width):
        return missing(request)
    if not blobs.has(digest):
        return _not_here_yet(asset, width, renditions.height(width, asset.width or 1, asset.height or 1))
    there = stale.folder().root / request.path.strip("/")
    try:
        with stale.folder().turn(request.path):  # of a burst one makes it, the others find it there
            if there.is_file():
                return _file(request, there, WEBP, filename)
            return _make(request, asset, width, filename)
    except renditions.NotScalableError:
        return HttpResponseRedirect(asset.url, headers={"Cache-Control": "public, max-age=300"})


def _make(request: HttpRequest, asset: Asset, width: int, filename: str) -> Any:
    folder = stale.folder()
    with scratch.making(folder.state, UNFINISHED) as (_, made):
        renditions.make(blobs.path(asset.digest), made, width)
        made.chmod(0o644)
        _keep(request, made, Asset.objects.filter(pk=asset.pk, digest=asset.digest).exists)
        files.bound(folder)
        return _file(request, made, WEBP, filename)


def _named(digest: str, fits: Callable[[str], bool]) -> Asset | None:
    """Return an asset that names the blob, one whose file name ``fits`` if there is one."""
    rows = Asset.objects.filter(digest=digest) if blobs.DIGEST.fullmatch(digest) else Asset.objects.none()
    return min(rows, key=lambda row: (not fits(row.filename), row.token), default=None)


def _keep(request: HttpRequest, source: Path, is_asked_for: Callable[[], bool]) -> None:
    if files.ADDRESS.fullmatch(request.path):
        files.keep(stale.folder(), request.path, source, is_asked_for)


def _file(request: HttpRequest, source: Path, kind: str, name: str) -> Any:
    """The stored content under the type that it was found to have; shown only where that is safe, else downloaded."""
    file = source.open("rb")
    found = source.stat()
    response: Any = FileResponse(file, content_type=kind)
    for header, value in files.headers(kind):
        response[header] = value
    response["Content-Disposition"] = content_disposition_header(not files.is_shown(kind), name) or "inline"
    response["ETag"] = files.etag(found)
    response["Last-Modified"] = http_date(found.st_mtime)
    known = get_conditional_response(request, etag=response["ETag"], last_modified=int(found.st_mtime), response=response)
    if known is not response:
        file.close()
    return known


def _not_here_yet(asset: Asset, width: int | None, height: int | None) -> HttpResponse:
    """A quiet picture of the right size, so that the page does not jump when the real one has come; 503 for other files."""
    if not width or not height:
        response = HttpResponse("This file has not arrived here yet. Please try again soon.\n", "text/plain", 503)
        response["Retry-After"] = "30"
    else:
        response = HttpResponse(PLACEHOLDER.format(width=width, height=height), "image/svg+xml")
    for header, value in files.headers("image/svg+xml" if width and height else "text/plain"):
        response[header] = value
    response["Cache-Control"] = "no-store"
    return response


PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    '<title>This image is on its way</title><rect width="100%" height="100%" fill="#8a8f94" fill-opacity=".18"/></svg>'
)

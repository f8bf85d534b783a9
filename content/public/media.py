"""Serves the blobs that assets name. An address holds the digest of its content, so it may be kept for ever."""

from __future__ import annotations

import re
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import condition, require_safe

from content.models import Asset
from content.public.pages import missing
from sync import blobs

INLINE = re.compile(r"(image|audio|video)/[\w.+-]+|application/pdf|text/plain")
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
# What is opened by itself can run nothing and reach nothing. Browsers show no PDF in a sandbox, and run none of its scripts.
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def _etag(request: HttpRequest, digest: str, filename: str) -> str | None:
    return f'"{digest}"' if blobs.DIGEST.fullmatch(digest) and blobs.has(digest) else None


@require_safe
@condition(etag_func=_etag)
def media(request: HttpRequest, digest: str, filename: str) -> Any:
    """Answer with the content of an asset; with a placeholder where its row is here and its content has not come yet."""
    named = Asset.objects.filter(digest=digest) if blobs.DIGEST.fullmatch(digest) else Asset.objects.none()
    rows = sorted(named, key=lambda row: (row.filename != filename, row.token))
    if not rows:
        return missing(request)
    return _file(rows[0]) if blobs.has(digest) else _not_here_yet(rows[0])


def _file(asset: Asset) -> FileResponse:
    """The stored content under the type that it was found to have; shown only where that is safe, else downloaded."""
    kind = asset.content_type if CONTENT_TYPE.fullmatch(asset.content_type) else "application/octet-stream"
    response = FileResponse(blobs.path(asset.digest).open("rb"), content_type=kind)
    disposition = content_disposition_header(not INLINE.fullmatch(kind), asset.filename)
    response["Content-Disposition"] = disposition or "inline"
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    if kind != "application/pdf":
        response["Content-Security-Policy"] = ALONE
    return _guarded(response)


def _not_here_yet(asset: Asset) -> HttpResponse:
    """A quiet picture of the right size, so that the page does not jump when the real one has come; 503 for other files."""
    if not asset.width or not asset.height:
        response = HttpResponse("This file has not arrived here yet. Please try again soon.\n", "text/plain", 503)
        response["Retry-After"] = "30"
    else:
        response = HttpResponse(PLACEHOLDER.format(width=asset.width, height=asset.height), "image/svg+xml")
        response["Content-Security-Policy"] = ALONE
    response["Cache-Control"] = "no-store"
    return _guarded(response)


def _guarded(response: Any) -> Any:
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    '<title>This image is on its way</title><rect width="100%" height="100%" fill="#8a8f94" fill-opacity=".18"/></svg>'
)

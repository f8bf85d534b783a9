"""A file from outside becomes a blob and an asset. Its content says what it is, never its name or its sender."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, NamedTuple

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from PIL import Image, UnidentifiedImageError
from rest_framework.exceptions import ValidationError

from content.models import Asset
from sync import blobs

MAX_SIZE = 50 << 20  # bytes
MAX_PIXELS = 100_000_000
MAX_NAME = 150  # characters of a file's name
SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
SIGNATURES = ((b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"))
SVG = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.DOTALL)


class Kind(NamedTuple):
    """What a file was found to be; ``width`` and ``height`` in pixels, as it is shown."""

    content_type: str
    width: int | None = None
    height: int | None = None


def store(file: UploadedFile, *, title: str = "", alt: str = "") -> Asset:
    """Keep ``file`` and return its new asset. Raises ValidationError for what is too large or a broken picture."""
    if (file.size or 0) > MAX_SIZE:
        raise ValidationError({"file": f"The file may have {MAX_SIZE} bytes; this one has {file.size}."}, code="too_large")
    kind = sniff(file)
    file.seek(0)
    digest, size = blobs.put(file)  # type: ignore[arg-type]
    name = safe_name(file.name or "file")
    with transaction.atomic():
        return Asset.objects.create(title=title or name, alt=alt, filename=name, digest=digest, size=size, **kind._asdict())


def sniff(file: Any) -> Kind:
    """Return what ``file`` is by its content: a picture by its header, a few others by their first bytes.

    Raises ValidationError for a broken picture, and for what is sent as a picture and is none.
    """
    file.seek(0)
    try:
        with Image.open(file) as image:
            return _picture(image)
    except UnidentifiedImageError:
        file.seek(0)
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ValidationError({"file": f"The picture cannot be read: {error}"}, code="broken_image") from error
    head = file.read(1024)
    if SVG.match(head):
        return Kind("image/svg+xml")
    if (getattr(file, "content_type", None) or "").startswith("image/"):
        raise ValidationError({"file": "This is no picture that can be shown; send JPEG, PNG, WebP, AVIF, GIF or SVG."})
    return Kind(next((kind for signature, kind in SIGNATURES if head.startswith(signature)), "application/octet-stream"))


def _picture(image: Image.Image) -> Kind:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValidationError({"file": f"A picture may have {MAX_PIXELS} pixels; this one has {width} × {height}."})
    if image.getexif().get(0x0112) in SIDEWAYS:
        width, height = height, width
    return Kind(Image.MIME.get(image.format or "", "application/octet-stream"), width, height)


def safe_name(name: str) -> str:
    """Return the last part of ``name`` as letters, digits, dots, hyphens and underscores, its ending kept."""
    path = PurePath(name.replace("\\", "/").rsplit("/", 1)[-1])
    stem, ending = (re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-.") for part in (path.stem, path.suffix[1:]))
    return (stem or "file")[:MAX_NAME] + (f".{ending[:20]}" if ending else "")

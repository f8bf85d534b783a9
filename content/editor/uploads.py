"""Uploaded files become assets: the content goes to the blobs, the row describes it."""

from __future__ import annotations

from pathlib import PurePath
from typing import BinaryIO, cast

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.text import get_valid_filename
from PIL import Image

from content.models import Asset
from sync import blobs

PICTURES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp", "AVIF": "image/avif"}
FILES = {".pdf": "application/pdf", ".txt": "text/plain", ".csv": "text/csv", ".zip": "application/zip"}
LARGEST = 50 << 20  # bytes


def measure(file: UploadedFile) -> tuple[str, int | None, int | None]:
    """Return content type, width and height (pixels; None for what is no picture) of ``file``.

    Raises ValidationError for what readers should not be sent. SVG is refused: it can carry scripts.
    """
    if (file.size or 0) > LARGEST:
        raise ValidationError(f"This file is larger than {LARGEST >> 20} MB. Choose a smaller one.")
    suffix = PurePath(file.name or "").suffix.lower()
    if suffix in FILES:
        return FILES[suffix], None, None
    try:
        file.seek(0)
        with Image.open(cast(BinaryIO, file), formats=list(PICTURES)) as picture:
            picture.verify()
            return PICTURES[picture.format or ""], picture.width, picture.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        accepted = ", ".join([*PICTURES, *(suffix[1:].upper() for suffix in FILES)])
        raise ValidationError(f"This is no file that can be shown here. Choose one of {accepted}.") from None
    finally:
        file.seek(0)


def fill(asset: Asset, file: UploadedFile) -> Asset:
    """Put the content of ``file`` into the blobs and describe it in ``asset``, which is not saved."""
    asset.content_type, asset.width, asset.height = measure(file)
    asset.digest, asset.size = blobs.put(cast(BinaryIO, file))
    asset.filename = get_valid_filename(PurePath(file.name or "file").name)[-200:]
    asset.title = asset.title or PurePath(file.name or "file").stem.replace("-", " ").replace("_", " ")[:200]
    return asset


def upload(file: UploadedFile, alt: str = "") -> Asset:
    """Store ``file`` as a new asset and return it."""
    asset = fill(Asset(alt=alt[:500]), file)
    asset.save(force_insert=True)
    return asset

"""A file from outside becomes a blob and an asset. Its content says what it is, never its name or its sender."""

from __future__ import annotations

import re
from mimetypes import guess_extension, guess_type
from pathlib import PurePath
from typing import BinaryIO, NamedTuple, cast

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from PIL import Image, UnidentifiedImageError

from content.models import Asset
from sync import blobs

MAX_SIZE = 50 << 20  # bytes
MAX_PIXELS = 100_000_000
MAX_NAME = 150  # characters of a file's name without its ending
HEAD = 8192  # bytes in which a drawing has to say that it is one

# What every browser shows. The other formats that Pillow reads are never opened.
PICTURES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp", "AVIF": "image/avif"}
DRAWING = "image/svg+xml"  # may hold scripts: content.public.media sends it in a sandbox
ACCEPTED = ",".join([*PICTURES.values(), DRAWING])  # for file inputs
NO_PICTURE = "This is no picture that can be shown. Choose a PNG, JPEG, GIF, WebP, AVIF or SVG."
SIGNATURES = ((b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"))
OTHER = "application/octet-stream"  # is downloaded, never shown
SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
ORIENTATION = 0x0112

# Atomic groups: a file of nothing but comments is read once, not once for each way to part it.
SVG = re.compile(
    r"\A\ufeff?(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>)*+(<svg(?=[\s/>])[^>]*>?)",
    re.DOTALL | re.IGNORECASE,
)
VIEW_BOX = re.compile(r"\bviewBox=[\"']\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)")
MAX_SIDE = 100_000  # pixels of a drawing; more is taken for a mistake


class Kind(NamedTuple):
    """What a file was found to be; ``width`` and ``height`` in pixels, as it is shown, None where it does not tell."""

    content_type: str
    width: int | None = None
    height: int | None = None

    @property
    def is_picture(self) -> bool:
        """Whether browsers show it within a page."""
        return self.content_type.startswith("image/")


def inspect(file: BinaryIO, size: int) -> Kind:
    """Return what ``file`` of ``size`` bytes is by its content: a picture, one of a few others, or just bytes.

    Leaves it at its beginning. Raises ValidationError (``too_large``, ``broken_image``) for what is not to be kept.
    """
    if size > MAX_SIZE:
        raise ValidationError(f"A file may have {MAX_SIZE >> 20} MB; this one is larger.", code="too_large")
    try:
        return _picture(file) or _other(file)
    finally:
        file.seek(0)


def check(file: UploadedFile) -> Kind:
    """Return what an uploaded ``file`` is. Raises ValidationError as ``inspect`` does, and for what claims to be a picture."""
    kind = inspect(cast(BinaryIO, file), file.size or 0)
    if (file.content_type or "").startswith("image/") and not kind.is_picture:
        raise ValidationError(NO_PICTURE, code="no_image")
    return kind


def fill(asset: Asset, file: UploadedFile) -> Asset:
    """Put the content of ``file`` into the blobs and describe it in ``asset``, which is not saved. Raises ValidationError."""
    kind = check(file)
    asset.content_type, asset.width, asset.height = kind
    asset.digest, asset.size = blobs.put(cast(BinaryIO, file))
    asset.filename = safe_name(file.name or "", kind.content_type)
    asset.title = asset.title or title_of(file.name or asset.filename)
    return asset


def store(file: UploadedFile, *, title: str = "", alt: str = "") -> Asset:
    """Keep ``file`` and return its new asset. Raises ValidationError."""
    asset = fill(Asset(title=title, alt=alt[:500]), file)
    with transaction.atomic():
        asset.save(force_insert=True)
    return asset


def safe_name(name: str, content_type: str = OTHER) -> str:
    """Return the last part of ``name`` as it may stand in an address: letters, digits, dots, hyphens and underscores.

    A picture gets the ending that fits it; others keep theirs.
    """
    path = PurePath(name.replace("\\", "/").rsplit("/", 1)[-1])
    stem, ending = (re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-.") for part in (path.stem, path.suffix[1:]))
    if content_type.startswith("image/") and guess_type(f"x.{ending.lower()}")[0] != content_type:
        ending = (guess_extension(content_type) or ".avif")[1:]  # the older table of Python 3.11 lacks AVIF
    return (stem or "file")[:MAX_NAME] + (f".{ending[:20]}" if ending else "")


def title_of(name: str) -> str:
    """Return the name of a file as people would say it."""
    stem = PurePath(name.replace("\\", "/")).stem
    return " ".join(stem.replace("-", " ").replace("_", " ").split())[:200] or name[:200] or "File"


def _picture(file: BinaryIO) -> Kind | None:
    file.seek(0)
    try:
        with Image.open(file, formats=list(PICTURES)) as image:
            kind = Kind(PICTURES[image.format or ""], *_shown_size(image))
            image.verify()
    except UnidentifiedImageError:
        return None
    except ValidationError:
        raise
    except Exception as error:  # the readers of the formats raise whatever they stumble over
        raise ValidationError(f"The picture is broken: {error}", code="broken_image") from error
    return kind


def _shown_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height as browsers show them, which turn a picture as its camera was held."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        text = f"A picture may have {MAX_PIXELS} pixels; this one has {width} × {height}."
        raise ValidationError(text, code="broken_image")
    # A PNG that has no EXIF at its beginning would be unpacked whole in search of it.
    turned = (image.format != "PNG" or "exif" in image.info) and image.getexif().get(ORIENTATION) in SIDEWAYS
    return (height, width) if turned else (width, height)


def _other(file: BinaryIO) -> Kind:
    file.seek(0)
    head = file.read(HEAD)
    if drawing := SVG.match(head.decode("utf-8", "replace")):
        return Kind(DRAWING, *_size_of_drawing(drawing[1]))
    return Kind(next((kind for signature, kind in SIGNATURES if head.startswith(signature)), OTHER))


def _size_of_drawing(tag: str) -> tuple[int | None, int | None]:
    box = VIEW_BOX.search(tag)
    width, height = (re.search(rf"\s{name}=[\"']([\d.]+)(?:px)?[\"']", tag) for name in ("width", "height"))
    numbers = (width[1], height[1]) if width and height else (box[1], box[2]) if box else ()
    try:
        pixels = [round(float(number)) for number in numbers]
    except (ValueError, OverflowError):
        return None, None
    return (pixels[0], pixels[1]) if pixels and 0 < min(pixels) <= max(pixels) < MAX_SIDE else (None, None)

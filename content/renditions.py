"""Pictures in the sizes that screens ask for. A rendition follows from a blob and a width alone, so any replica makes the same."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from PIL import Image, ImageOps

WIDTHS = (320, 640, 960, 1280, 1920)  # pixels; no other width is ever made, so nobody fills the disk by asking
SCALED = frozenset((".png", ".jpg", ".jpeg", ".webp", ".avif"))  # drawings need no other size, and GIFs move
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
MAX_PIXELS = 40_000_000  # of a picture that is taken into memory for a rendition
QUALITY = 80  # of WebP
ALPHA_QUALITY = 70  # drawings keep their lines in the alpha channel, which without loss is larger than the original
MEASURE = "(min-width: 45rem) 42rem, 94vw"  # how wide the column is in which pages show pictures, see site.css
_working = threading.Lock()  # one at a time in a process: each takes a core, and memory for all its pixels


class NotScalableError(Exception):
    """There is no other size of this picture: it moves, is broken, or is too large. It is shown as it is."""


def address(url: str, width: int) -> str:
    """Return the address of the rendition ``width`` pixels wide of the picture at ``url`` (``/media/<digest>/<name>``)."""
    folder, _, name = url.rpartition("/")
    return f"{folder}/{width}w/{PurePath(name).stem}.webp"


def widths(filename: str, width: int | None) -> list[int]:
    """Return the widths in which a picture of ``width`` pixels can be had besides its own."""
    return [w for w in WIDTHS if width and w < width] if PurePath(filename).suffix.lower() in SCALED else []


def responsive(picture: Mapping[str, Any] | None, sizes: str = MEASURE) -> dict[str, Any] | None:
    """Return ``picture`` (``url``, ``width``) with ``srcset`` and ``sizes``, both empty where it has but one size."""
    if picture is None:
        return None
    url, own = picture["url"], picture["width"]
    found = [f"{address(url, width)} {width}w" for width in widths(url, own)]
    return {**picture, "srcset": ", ".join([*found, f"{url} {own}w"]) if found else "", "sizes": sizes if found else ""}


def height(width: int, own_width: int, own_height: int) -> int:
    """Return how high a picture of ``own_width`` × ``own_height`` is when it is ``width`` wide."""
    return max(1, round(own_height * width / own_width))


def make(source: Path, target: Path, width: int) -> None:
    """Write the picture in ``source``, ``width`` pixels wide and turned as it is shown, to ``target`` as WebP.

    What cameras write beside the picture, such as where it was taken, is left out. Raises NotScalableError.
    """
    try:
        with _working, Image.open(source, formats=FORMATS) as image:
            if getattr(image, "is_animated", False) or image.width * image.height > MAX_PIXELS:
                raise NotScalableError(source.name)
            image.draft("RGB", (2 * width, 2 * width))  # JPEG is read in about the size that is needed
            _scaled(image, width).save(
                target, "WEBP", quality=QUALITY, alpha_quality=ALPHA_QUALITY, icc_profile=image.info.get("icc_profile")
            )
    except NotScalableError:
        raise
    except Exception as error:  # the readers of the formats raise whatever they stumble over
        raise NotScalableError(f"{source.name}: {error}") from error


def _scaled(image: Image.Image, width: int) -> Image.Image:
    shown = ImageOps.exif_transpose(image)
    shown = shown.convert("RGBA" if shown.has_transparency_data else "RGB")
    return shown.resize((width, height(width, *shown.size)), Image.Resampling.LANCZOS, reducing_gap=2.0)

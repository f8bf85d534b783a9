"""Images: from the path that a text names to a file within the site, and from the file to an asset."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from PIL import Image, UnidentifiedImageError

from content.importing.sources import Site
from content.models import Asset
from sync import blobs

MAX_IMAGE = 50 * 1024 * 1024  # bytes
STATIC_FOLDERS = ("", "assets", "static", "public", "src", "src/assets", "images")


class ImageError(Exception):
    """A path leads to no image that may be imported. The message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file: what its asset will say. ``width`` and ``height`` are pixels, None where the file does not tell."""

    path: Path
    filename: str
    digest: str
    size: int
    content_type: str
    width: int | None
    height: int | None


def elsewhere(source: str) -> bool:
    """Say whether an image stands at an address of its own and not within the site."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", source) is not None


class Library:
    """Finds the images of one site and makes each into one asset, however often it is shown."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.roots = [folder.resolve() for folder in (site.root, *site.assets)]
        self.found: dict[Path, Picture] = {}
        self.tokens: dict[tuple[str, str], str] = {
            (digest, filename): token
            for token, digest, filename in Asset.objects.order_by("-token")
            .values_list("token", "digest", "filename")
            .iterator()
        }

    def find(self, source: str, page: Path) -> Picture:
        """Return the image that ``source``, as written in the file ``page``, leads to. Raises ImageError."""
        reason = "it is kept elsewhere; a link leads there" if elsewhere(source) else "there is no such file"
        for candidate in self._candidates(source, page):
            if not any(candidate.is_relative_to(root) for root in self.roots):
                reason = "the path leads out of the site"
            elif candidate.is_file():
                if candidate not in self.found:
                    self.found[candidate] = inspect(candidate)
                return self.found[candidate]
        raise ImageError(reason)

    def _candidates(self, source: str, page: Path) -> Iterator[Path]:
        """Yield the places where the file may be, links followed."""
        path = unquote(urlsplit(source).path)
        relative = path.lstrip("/")
        if not relative or "\0" in path or len(path) > 1000:
            return
        places = [] if path.startswith("/") else [page.parent / path]
        places += [self.site.root / folder / relative for folder in STATIC_FOLDERS]
        for folder in self.site.assets:
            parts = PurePosixPath(relative).parts
            places += [
                folder.joinpath(*parts[start:]) for start in range(len(parts)) if start == 0 or parts[start - 1] == folder.name
            ]
        for place in places:
            try:
                yield place.resolve()
            except (OSError, ValueError, RuntimeError):  # a name too long for a file system, or links in a circle
                continue

    def asset(self, picture: Picture, alt: str) -> str:
        """Return the token of the asset of ``picture``, made in the caller's transaction where it is not there."""
        key = (picture.digest, picture.filename)
        if key not in self.tokens:
            if not blobs.has(picture.digest):
                with picture.path.open("rb") as file:
                    blobs.put(file)
            title = Path(picture.filename).stem.replace("-", " ").replace("_", " ").strip() or picture.filename
            asset = Asset.objects.create(
                title=title,
                alt=alt[:500],
                filename=picture.filename,
                digest=picture.digest,
                size=picture.size,
                content_type=picture.content_type,
                width=picture.width,
                height=picture.height,
            )
            self.tokens[key] = asset.token
        return self.tokens[key]

    def forget(self, keys: set[tuple[str, str]]) -> None:
        """Forget the assets ``keys``, whose transaction did not hold."""
        for key in keys:
            self.tokens.pop(key, None)


def inspect(path: Path) -> Picture:
    """Look into an image file. Raises ImageError where it is none, or is too large."""
    size = path.stat().st_size
    if size > MAX_IMAGE:
        raise ImageError(f"the file is larger than {MAX_IMAGE >> 20} MB")
    content_type, width, height = _sniff(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Picture(path, _filename(path, content_type), digest, size, content_type, width, height)


def _sniff(path: Path) -> tuple[str, int | None, int | None]:
    """Return the content type, by the content, and the size in pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                kind = Image.MIME.get(image.format or "", "")
                if kind.startswith("image/"):
                    return kind, image.width, image.height
    except UnidentifiedImageError:
        return _sniff_svg(path)
    except Exception as error:
        raise ImageError(f"the file is a broken image: {error}") from None
    raise ImageError("the file is no image")


def _sniff_svg(path: Path) -> tuple[str, int | None, int | None]:
    with path.open("rb") as file:
        head = file.read(8192).decode("utf-8", "replace")
    tag = re.search(r"<svg\b[^>]*>", head)
    if not tag:
        raise ImageError("the file is no image")
    box = re.search(r"\bviewBox=[\"']\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)", tag[0])
    width, height = (re.search(rf"\s{name}=[\"']([\d.]+)(?:px)?[\"']", tag[0]) for name in ("width", "height"))
    numbers = (width[1], height[1]) if width and height else (box[1], box[2]) if box else None
    try:
        pixels = [round(float(number)) for number in numbers or ()]
    except (ValueError, OverflowError):
        pixels = []
    return "image/svg+xml", *((pixels[0], pixels[1]) if pixels and max(pixels) < 100_000 else (None, None))


def _filename(path: Path, content_type: str) -> str:
    """Return the name of the file as it may stand in an address, with a suffix that fits the content."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:150] or "image"
    suffix = path.suffix.lower()
    fits = mimetypes.guess_type(f"x{suffix}")[0] == content_type
    return stem + (suffix if fits else mimetypes.guess_extension(content_type) or "")

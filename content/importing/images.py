"""Images: from the path that a text names to a file within the site, and from the file to an asset."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError

from content import uploads
from content.importing.sources import Site
from content.models import Asset
from sync import blobs

STATIC_FOLDERS = ("", "assets", "static", "public", "src", "src/assets", "images")


class ImageError(Exception):
    """A path leads to no image that may be imported. The message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file: what its asset will say."""

    path: Path
    filename: str
    digest: str
    size: int
    kind: uploads.Kind


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
            asset = Asset.objects.create(
                title=uploads.title_of(picture.filename),
                alt=alt[:500],
                filename=picture.filename,
                digest=picture.digest,
                size=picture.size,
                **picture.kind._asdict(),
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
    with path.open("rb") as file:
        try:
            kind = uploads.inspect(file, size)
        except ValidationError as error:
            raise ImageError(error.messages[0]) from None
        if not kind.is_picture:
            raise ImageError("the file is no image that browsers show")
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Picture(path, uploads.safe_name(path.name, kind.content_type), digest, size, kind)

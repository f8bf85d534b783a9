"""Blobs: files named by their SHA-256, kept under ``EDGECMS_DATA/media``. A file that is there is whole and checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sync import conf, scratch

DIGEST = re.compile(r"[0-9a-f]{64}")
PIECE = 1 << 20  # bytes read or sent at once
UNFINISHED = "incoming-"


class BlobError(ValueError):
    """A blob is not what its name says."""


def path(digest: str) -> Path:
    """Return where the blob ``digest`` (64 hex digits) belongs. Raises BlobError for any other name."""
    if not DIGEST.fullmatch(digest):
        raise BlobError(f"{digest!r} is not the SHA-256 of a blob")
    return conf.data() / "media" / digest[:2] / digest


def has(digest: str) -> bool:
    """Say whether the blob is here, whole."""
    return path(digest).is_file()


def pieces(source: BinaryIO) -> Iterator[bytes]:
    """Read ``source`` to its end in pieces of bounded size."""
    while piece := source.read(PIECE):
        yield piece


def put(source: BinaryIO) -> tuple[str, int]:
    """Keep the content of ``source``; return its digest and its size in bytes. Keeping it twice changes nothing."""
    root = conf.data() / "media"
    root.mkdir(parents=True, exist_ok=True)
    with scratch.making(root, UNFINISHED) as (file, temporary):
        digest, size = hashlib.sha256(), 0
        for piece in pieces(source):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        install(temporary, digest.hexdigest())
    return digest.hexdigest(), size


def unfinished() -> list[Path]:
    """Return the files that ``put`` is writing, or was when it was killed."""
    return list((conf.data() / "media").glob(f"{UNFINISHED}*"))


def install(temporary: Path, digest: str) -> None:
    """Move a complete file to the place of ``digest``, atomically and durably."""
    target = path(digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.chmod(0o644)
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

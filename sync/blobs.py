"""Blobs: files named by their SHA-256, kept under ``EDGECMS_DATA/media``. A file that is there is whole and checked."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sync import conf

DIGEST = re.compile(r"[0-9a-f]{64}")
PIECE = 1 << 20  # bytes read or sent at once


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
    descriptor, temporary = tempfile.mkstemp(dir=root, prefix="incoming-")
    try:
        digest, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces(source):
                digest.update(piece)
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        install(Path(temporary), digest.hexdigest())
    finally:
        Path(temporary).unlink(missing_ok=True)
    return digest.hexdigest(), size


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

"""Blobs on their way in: pieces are kept in a file beside until it is whole and its digest is right; only then it appears."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from django.dispatch import receiver

from sync import blobs, conf, signals
from sync.db import sql
from sync.models import MissingBlob
from sync.registry import spec_of

MAX_BYTES = 1 << 30  # of one blob: nobody who names one fills the disk of everybody else


def part(digest: str) -> Path:
    """Return where the beginning of a blob is kept."""
    folder = conf.data() / "media" / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{blobs.path(digest).name}.part"


def held(digest: str) -> int:
    """Return how many bytes of a blob are here."""
    file = part(digest)
    return file.stat().st_size if file.exists() else 0


def finished() -> list[Path]:
    """Return the beginnings of blobs that have come whole by another way since: nobody will ask how far they are."""
    files = (conf.data() / "media" / "parts").glob("*.part")
    return [file for file in files if blobs.DIGEST.fullmatch(file.stem) and blobs.has(file.stem)]


def drop(digest: str) -> None:
    """Forget the beginning of a blob."""
    part(digest).unlink(missing_ok=True)


def add_piece(digest: str, offset: int, piece: bytes, total: int) -> int:
    """Append ``piece`` where it continues what is here; return how many bytes are here now.

    A piece that does not continue is left aside; ``settle`` notes that a blob is whole. Raises BlobError where the whole is not what
    the digest names; it is then dropped.
    """
    if not offset + len(piece) <= total <= MAX_BYTES:
        raise blobs.BlobError(
            f"the blob {digest} comes with {total} bytes in all; at most {MAX_BYTES} are taken, and no more than that"
        )
    file = part(digest)
    with file.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # to the end, so that of two who bring the last piece one finishes
        if blobs.has(digest):
            file.unlink(missing_ok=True)
            return total
        if not _is_still(file, handle):
            return held(digest)
        size = os.fstat(handle.fileno()).st_size
        if offset == size:
            handle.write(piece)
            handle.flush()
            os.fsync(handle.fileno())
            size += len(piece)
        if size >= total:
            _finish(digest, file)
    return size


def _is_still(file: Path, handle: BinaryIO) -> bool:
    """Say whether ``handle`` is what stands at ``file``: who held the lock before may have dropped or moved it."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def _finish(digest: str, file: Path) -> None:
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != digest:
        file.unlink()
        raise blobs.BlobError(f"what came as the blob {digest} has the digest {found}; it was dropped")
    blobs.install(file, digest)


def settle(digest: str) -> None:
    """Wait no longer for a blob that is here."""
    if blobs.has(digest):
        MissingBlob.objects.filter(digest=digest).delete()


@receiver(signals.projected)
def note_missing(rows: set[Any], **_: Any) -> None:
    """Note the blobs that rows just shown name and that are not here."""
    by_model: dict[str, list[str]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row.token)
    for label, tokens in by_model.items():
        model = spec_of(label)
        for name in model.blobs if model else ():
            found = {digest for (digest,) in sql.select_in(model.table, [name], "token", tokens)}  # type: ignore[union-attr]
            absent = [(digest,) for digest in sorted(found) if blobs.DIGEST.fullmatch(digest) and not blobs.has(digest)]
            sql.upsert(MissingBlob._meta.db_table, "digest", (), absent)

"""The file of a backup: a tar in zstd, whose last member is a manifest with the size and digest of all others.

``tar --zstd -xf`` reads it too. It appears under its name when it is whole and on the disk, and never over another file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from sync.backup import attempts
from sync.core.errors import NeedsOperatorError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

FORMAT = 1
MANIFEST = "manifest.json"
LEVEL = 3
PIECE = 1 << 20  # bytes
# What a backup may hold: nothing else is ever written to a disk from one.
MEMBER = re.compile(
    r"database\.sqlite3|database/[a-z0-9_]+\.copy|media/[0-9a-f]{2}/[0-9a-f]{64}|keys/ed25519\.key|secret\.key|manifest\.json"
)

Manifest = dict[str, Any]
Progress = Callable[[int], None]


class Writer:
    """A backup in the making. ``members``: name -> size, sha256, mode; ``place``: a folder for what is needed meanwhile."""

    def __init__(self, file: Any, progress: Progress, place: Path) -> None:
        self.place = place
        self.tar = tarfile.TarFile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)
        self.members: dict[str, dict[str, Any]] = {}
        self.progress = progress

    def add(self, name: str, source: Path, mode: int = 0o600) -> str:
        """Add a file and return its SHA-256."""
        with source.open("rb") as file:
            return self._add(name, _Hashing(file), os.fstat(file.fileno()).st_size, mode)

    def _add(self, name: str, file: _Hashing, size: int, mode: int) -> str:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, mode, int(time.time())
        self.tar.addfile(entry, file)
        digest = file.digest.hexdigest()
        self.members[name] = {"size": size, "sha256": digest, "mode": mode}
        self.progress(1)
        return digest

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest and end the tar."""
        content = orjson.dumps({"format": FORMAT, **manifest, "members": dict(self.members)}, option=orjson.OPT_INDENT_2)
        self._add(MANIFEST, _Hashing(io.BytesIO(content)), len(content), 0o600)
        self.tar.close()


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes."""
        piece = self.file.read(size)
        self.digest.update(piece)
        return piece


@contextmanager
def writing(target: Path, progress: Progress) -> Iterator[Writer]:
    """Yield a writer; when the block ends well the file stands at ``target``, durable. Raises NeedsOperatorError; leaves no half."""
    if not target.parent.is_dir():
        raise NeedsOperatorError(f"there is no folder {target.parent}; make it first")
    _refuse_existing(target)
    attempts.forget(target.parent)
    try:
        with attempts.beginning(target) as (file, place):
            with ZstdFile(file, "wb", level=LEVEL) as compressed:
                yield Writer(compressed, progress, place)
            file.flush()
            os.fsync(file.fileno())
            _appear(place / attempts.FILE, target)
    except OSError as error:
        raise NeedsOperatorError(f"{target} cannot be written: {error.strerror or error}; nothing is left of it") from error


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise NeedsOperatorError(f"{target} is there already; a backup never replaces a file, so choose another name")


def _appear(temporary: Path, target: Path) -> None:
    """Give the file its name, unless that was taken meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        _refuse_existing(target)
    except OSError:  # a file system without links
        _refuse_existing(target)
        temporary.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names stand in ``folder``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unpack(source: Path, folder: Path, progress: Progress) -> Manifest:
    """Write the members of a backup below ``folder`` and return the manifest, every size and digest checked.

    Raises NeedsOperatorError for what is no backup, or none that is whole.
    """
    found: dict[str, str] = {}
    try:
        with source.open("rb") as file, ZstdFile(file, "rb") as compressed:
            with tarfile.open(fileobj=compressed, mode="r|") as tar:
                for entry in tar:
                    content = tar.extractfile(entry) if entry.isreg() and MEMBER.fullmatch(entry.name) else None
                    if content is None:
                        raise NeedsOperatorError(f"{source} holds {entry.name!r}, which no backup holds; it is none")
                    found[entry.name] = _write(content, folder / entry.name)
                    progress(1)
            while compressed.read(PIECE):  # to the checksum at its end
                pass
        manifest: Manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, ZstdError, EOFError, ValueError, FileNotFoundError) as error:
        raise NeedsOperatorError(f"{source} is no whole backup: {error}") from None
    _check(source, manifest, found)
    return manifest


def _write(content: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _check(source: Path, manifest: Manifest, found: dict[str, str]) -> None:
    if manifest.get("format") != FORMAT:
        raise NeedsOperatorError(f"{source} has the format {manifest.get('format')}; this release reads {FORMAT}")
    for name, member in manifest["members"].items():
        if found.get(name) != member["sha256"]:
            raise NeedsOperatorError(f"{source} is damaged: {name} is {'another' if name in found else 'missing'}")

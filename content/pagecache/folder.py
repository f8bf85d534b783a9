"""The folder of pages, shared by all processes of a replica.

A commit announces its change first: under the lock a mark is made, the epoch moves on, and the files concerned go. The mark stays
until the transaction has ended, when the epoch moves on again. A page is kept only if there is no mark and the epoch is still what
it was before the page was rendered. So a render that began before a commit cannot put an old page back; and where a process dies
between commit and its wake, nothing is kept until somebody finds that the lock on its mark is free, and clears up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from content.pagecache.forms import FORMS, compressed
from sync import scratch

MEDIA = "media"  # a folder within, of what does not change when pages do
MAX_BYTES = 512 << 20  # of all pages with their compressed forms
UNFINISHED = "new-"  # begins the names of files in the making
PATIENCE = 1.0  # seconds that a request waits for another one that makes the same
STRIPES = 64
LOOK_EVERY = 200  # pages kept between two looks at the size of the folder


def file_of(address: str) -> str:
    """Return the file for a public address: ``/`` is ``index.html``, ``/news-43ax/tide-12ab`` is ``news-43ax/tide-12ab.html``."""
    name = address.strip("/") or "index"
    return {"feed": "feed.atom", "sitemap.xml": name}.get(name, f"{name}.html")


@dataclass
class Change:
    """A change that was announced. ``end`` is called when its transaction has ended, whichever way."""

    folder: PageFolder
    mark: Path
    descriptor: int

    def end(self) -> None:
        """Let pages be kept again. Calling it twice does no harm."""
        if self.descriptor >= 0:
            self.folder.end(self.mark)
            os.close(self.descriptor)
            self.descriptor = -1


class PageFolder:
    """Pages under ``root``. Works without a lock server: what is shared are files."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root, root / ".state"
        self.marks = self.state / "changing"
        self._kept = 0

    def make(self) -> None:
        """Make the folder where it is not there, or was deleted."""
        self.marks.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        self.make()
        with (self.state / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Let one request at a time make what belongs at ``address``: a burst on what is not there makes it once."""
        try:
            self.make()
            file = (self.state / f"turn-{zlib.crc32(address.encode()) % STRIPES}").open("a")
        except OSError:  # a full disk keeps nobody from reading
            yield
            return
        with file:
            _lock(file.fileno())
            yield

    def epoch(self) -> str:
        """Return what changes with every change. Read it before a page is rendered; an absent folder has none."""
        with contextlib.suppress(OSError):
            return (self.state / "epoch").read_text()
        return ""

    def _move_on(self) -> None:
        (self.state / "epoch").write_text(secrets.token_hex(8))

    def change(self, addresses: Iterable[str] | None) -> Change:
        """Announce that ``addresses`` (None: all pages) are about to change, and remove their files. Raises OSError on a full disk.

        ``/media/<digest>`` stands for all files of a blob, ``/media`` for all media.
        """
        with self.locked():
            self._move_on()
            mark = self.marks / secrets.token_hex(8)
            listed = None if addresses is None else sorted(addresses)
            descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, json.dumps(listed).encode())
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._remove(listed)
        return Change(self, mark, descriptor)

    def end(self, mark: Path) -> None:
        """Take a mark away."""
        with contextlib.suppress(OSError), self.locked():
            self._move_on()
            mark.unlink(missing_ok=True)

    def keep(self, address: str, epoch: str, content_type: str, headers: list[tuple[str, str]], body: bytes) -> bool:
        """Keep a page that was rendered since ``epoch``; return whether it was. A full disk keeps nothing, and is no trouble."""
        forms = compressed(body)
        with contextlib.suppress(OSError), self.locked():
            if self.is_settled(epoch):
                self._bound()
                self._write(self.root / file_of(address), forms, {"type": content_type, "headers": headers})
                return True
        return False

    def is_settled(self, epoch: str) -> bool:
        """Say whether nothing has changed since ``epoch`` and nothing is changing. Called under the lock."""
        if not epoch:
            self._move_on()
        return self.epoch() == epoch and not self._is_changing()

    def _is_changing(self) -> bool:
        """Whether a transaction is under way; marks of those that died are cleared up, with what they had announced."""
        marks = list(self.marks.iterdir())
        for mark in marks:
            with mark.open("r+") as file, contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                text = file.read()
                self._remove(json.loads(text) if text else None)
                self._move_on()
                mark.unlink()
        return bool(marks)

    def _write(self, target: Path, forms: dict[str, bytes], meta: dict[str, object]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        second = max(int(time.time()), self._not_before())
        content = {f"{target}{FORMS[name]}": data for name, data in forms.items()}
        # The plain form comes last: with it the page is there.
        for path, data in {f"{target}.meta": json.dumps(meta).encode(), **content, str(target): forms["identity"]}.items():
            temporary = self.state / f"{UNFINISHED}{secrets.token_hex(4)}"
            temporary.write_bytes(data)
            os.utime(temporary, (second, second))
            temporary.replace(path)

    def _not_before(self) -> int:
        """The second that the next page may bear: servers name a version by second and size, so a second is used but once."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.state / "second").read_text())
        return 0

    def _remove(self, addresses: list[str] | None) -> None:
        if addresses is None:
            self._clear()
            return
        latest = 0
        for address in addresses:
            if address == f"/{MEDIA}" or address.startswith(f"/{MEDIA}/"):
                shutil.rmtree(self.root / address.strip("/"), ignore_errors=True)
                continue
            target = self.root / file_of(address)
            with contextlib.suppress(OSError):
                latest = max(latest, int(target.stat().st_mtime))
            for path in (target, *(Path(f"{target}{ending}") for ending in (*FORMS.values(), ".meta") if ending)):
                path.unlink(missing_ok=True)
        self._use_up(latest)

    def _use_up(self, second: int) -> None:
        if second >= int(time.time()):
            (self.state / "second").write_text(str(second + 1))

    def _clear(self) -> None:
        self._use_up(int(time.time()))
        for path in self.root.iterdir() if self.root.exists() else ():
            if path in (self.state, self.root / MEDIA):
                continue
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _bound(self) -> None:
        """Empty the folder where it has grown beyond its bound: what is read comes back at once."""
        self._kept += 1
        if self._kept % LOOK_EVERY == 0:
            others = [path for path in self.root.iterdir() if path.name != MEDIA]
            files = [file for path in others for file in (path.rglob("*") if path.is_dir() else [path])]
            size = sum(file.stat().st_size for file in files if file.is_file())
            if size > MAX_BYTES:
                self._clear()

    def settle(self, fingerprint: str) -> None:
        """Empty the folder unless it was filled by the same release with the same settings. Called at the start of a server."""
        with self.locked():
            known = self.state / "filled-by"
            if not known.exists() or known.read_text() != fingerprint:
                self._move_on()
                self._clear()
                self._remove([f"/{MEDIA}"])
                known.write_text(fingerprint)
            for path in self.state.glob(f"{UNFINISHED}*"):  # of a process that was killed
                scratch.clear(path)


def _lock(descriptor: int) -> None:
    """Wait for a lock, for ``PATIENCE`` seconds at most: whoever renders may hang, and readers are not to hang with it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.003)

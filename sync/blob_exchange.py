"""Files that are wanted here or at a peer, over a connection to it. What was cut is resumed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from django.db import connections

from sync import blobs, incoming
from sync.client import Peer
from sync.core.errors import MalformedError, PeerRefusedError, SyncError, WrongBlobError
from sync.models import MissingBlob

PARALLEL = 6  # files that are fetched from one peer at a time
BUDGET = 16 << 20  # bytes of files under way: many small ones, or a large one by itself


class _Budget:
    """Lets files come side by side as long as their sizes together stay within ``total`` bytes; a larger one comes alone."""

    def __init__(self, total: int) -> None:
        self.total = self.left = total
        self.changed = threading.Condition()

    @contextmanager
    def spend(self, size: int) -> Iterator[None]:
        """Wait until there is room for ``size`` bytes."""
        share = min(max(size, 0), self.total)
        with self.changed:
            self.changed.wait_for(lambda: share <= self.left)
            self.left -= share
        try:
            yield
        finally:
            with self.changed:
                self.left += share
                self.changed.notify_all()


def fetch(client: Peer, name: str) -> None:
    """Fetch what this replica lacks, as far as ``name``, the peer, has it. Raises WrongBlobError where some of it is damaged there.

    Several at a time: a small file takes hardly longer than the way to the peer and back, so one after the other would mostly wait.
    """
    digests = list(MissingBlob.objects.values_list("digest", flat=True))
    budget, wrong = _Budget(BUDGET), list[str]()
    with ThreadPoolExecutor(PARALLEL, "blobs") as threads:
        coming = {threads.submit(_in_thread, client, digest, budget): digest for digest in digests}
        try:
            for done in as_completed(coming):
                wrong += _outcome(done)
                incoming.settle(coming[done])
        except BaseException:  # what is under way is kept as far as it came
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    if wrong:
        raise WrongBlobError(f"the media of {name} are damaged; mend them there: {'; '.join(sorted(wrong))}")


def _outcome(done: Future[None]) -> list[str]:
    """Return what is wrong with the peer's file: one bad file keeps no other from coming, nor does one that the peer lacks."""
    try:
        done.result()
    except blobs.BlobError as error:
        return [str(error)]
    except SyncError as error:
        if error.code != "blob_absent":
            raise
    return []


def _in_thread(client: Peer, digest: str, budget: _Budget) -> None:
    try:
        _fetch(client, digest, budget)
    finally:
        connections.close_all()  # of this thread, where the client had to look at something


def _fetch(client: Peer, digest: str, budget: _Budget) -> None:
    if blobs.has(digest):
        return
    offset = incoming.held(digest)
    try:
        _continue(client, digest, offset, budget)
    except PeerRefusedError as error:
        if not offset or error.code != MalformedError.code:
            raise
        incoming.drop(digest)  # somebody has handed over more than the whole has: begin again
        _continue(client, digest, 0, budget)


def _continue(client: Peer, digest: str, offset: int, budget: _Budget) -> None:
    with client.send("GET", f"blobs/{digest}?offset={offset}") as response:
        total = int(response.headers.get("sync-blob-size", "0"))
        with budget.spend(total - offset):
            for chunk in _in_pieces(client.chunks(response)):
                incoming.add_piece(digest, offset, chunk, total)
                offset += len(chunk)  # of this stream; somebody else may be fetching the same blob


def send(client: Peer, wanted: Iterable[str]) -> None:
    """Hand over what the peer wants and is here."""
    for digest in wanted:
        if blobs.has(digest):
            _send_blob(client, digest)


def _send_blob(client: Peer, digest: str) -> None:
    path = blobs.path(digest)
    total = path.stat().st_size
    # Of one that takes several pieces some may be there from a push that was cut: an empty piece asks how much.
    offset = _put(client, digest, 0, total, b"") if total > blobs.PIECE else 0
    with path.open("rb") as file:
        while offset < total:
            file.seek(offset)
            held = _put(client, digest, offset, total, file.read(blobs.PIECE))
            if held == offset:
                return  # somebody else is sending it
            offset = held


def _put(client: Peer, digest: str, offset: int, total: int, piece: bytes) -> int:
    """Hand over a piece of a blob; return how many bytes the peer holds now."""
    place = f"blobs/{digest}?offset={offset}&total={total}"
    return int(client.json("PUT", place, piece, "application/octet-stream")["held"])


def _in_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ``chunks`` in larger pieces. Where they fail, what came is a piece first, so that it is not fetched again."""
    held = bytearray()
    failure: SyncError | None = None
    try:
        for chunk in chunks:
            held += chunk
            if len(held) >= blobs.PIECE:
                yield bytes(held)
                held.clear()
    except SyncError as error:
        failure = error
    if held or failure is None:
        yield bytes(held)
    if failure is not None:
        raise failure

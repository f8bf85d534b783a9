"""Files that are wanted here or at a peer, over a connection to it. What was cut is resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sync import blobs, incoming
from sync.client import Peer
from sync.core.errors import MalformedError, PeerRefusedError, SyncError, WrongBlobError
from sync.models import MissingBlob


def fetch(client: Peer, name: str) -> None:
    """Fetch what this replica lacks, as far as ``name``, the peer, has it. Raises WrongBlobError where some of it is damaged there."""
    wrong: list[str] = []
    for digest in list(MissingBlob.objects.values_list("digest", flat=True)):
        try:
            _fetch_blob(client, digest)
        except blobs.BlobError as error:  # one bad file keeps no other from coming
            wrong.append(str(error))
        except SyncError as error:
            if error.code != "blob_absent":
                raise
    if wrong:
        raise WrongBlobError(f"the media of {name} are damaged; mend them there: {'; '.join(wrong)}")


def _fetch_blob(client: Peer, digest: str) -> None:
    if blobs.has(digest):
        MissingBlob.objects.filter(digest=digest).delete()
        return
    offset = incoming.held(digest)
    try:
        _continue(client, digest, offset)
    except PeerRefusedError as error:
        if not offset or error.code != MalformedError.code:
            raise
        incoming.drop(digest)  # somebody has handed over more than the whole has: begin again
        _continue(client, digest, 0)


def _continue(client: Peer, digest: str, offset: int) -> None:
    with client.send("GET", f"blobs/{digest}?offset={offset}") as response:
        total = int(response.headers.get("sync-blob-size", "0"))
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

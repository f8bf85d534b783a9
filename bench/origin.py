"""A replica that exists only as its changesets: made in this process, signed, as many as one likes and quickly.

Each record of ``bench.records`` is a new section, or another text for one; so many records in each changeset.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.core import signing, wire
from sync.core.changeset import Changeset, Head, Op, Write, decode, detach, encode
from sync.core.token import derived_token

MODEL = "content.section"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
INCARNATION = "00000000000000bb"


class Origin:
    """Writes one chain. ``public`` is its key, as ``sync_trust`` takes it."""

    def __init__(self, name: str) -> None:
        self.name, self.key = name, Ed25519PrivateKey.generate()
        self.public = signing.key_text(self.key.public_key())
        self.seq, self.prev = 0, ""
        self.clock = time.time_ns() // 1_000_000 - 3_600_000
        self.written: dict[str, str] = {}  # token of a record -> dot of the changeset that wrote its text last

    def insert(self, records: Iterable[dict[str, Any]], each: int = 1) -> Iterator[Changeset]:
        """Yield changesets of ``each`` new rows."""
        return self._made(records, each, self._row)

    def update(self, records: Iterable[dict[str, Any]], each: int = 1) -> Iterator[Changeset]:
        """Yield changesets that give ``each`` rows, which were inserted before, the texts of ``records``."""
        return self._made(records, each, self._text)

    def _made(self, records: Iterable[dict[str, Any]], each: int, op: Any) -> Iterator[Changeset]:
        source = iter(records)
        while part := list(islice(source, each)):
            refs: dict[str, int] = {}
            texts: list[bytes] = []
            ops = [op(record, refs, texts) for record in part]
            changeset = self._signed(ops, list(refs), texts)
            self.written.update((record["token"], changeset.dot.hex()) for record in part)
            yield changeset

    @staticmethod
    def _write(field: str, value: Any, texts: list[bytes], over: list[int], latest: bool = False) -> Write:
        short, text = detach(value)
        texts += [text] if text is not None else []
        return Write(field, None, short, over, latest)

    def _token(self, record: dict[str, Any]) -> str:
        return derived_token(self.name, record["token"], BEGIN + timedelta(seconds=record["ordering"]))

    def _row(self, record: dict[str, Any], refs: dict[str, int], texts: list[bytes]) -> Op:
        return Op(
            MODEL,
            self._token(record),
            [
                self._write("title", record["title"], texts, []),
                self._write("slug", record["slug"], texts, []),
                self._write("description", record["description"], texts, []),
                self._write("ordering", record["ordering"], texts, [], latest=True),
            ],
        )

    def _text(self, record: dict[str, Any], refs: dict[str, int], texts: list[bytes]) -> Op:
        over = [refs.setdefault(self.written[record["token"]], len(refs))]
        return Op(MODEL, self._token(record), [self._write("description", record["description"], texts, over)])

    def _signed(self, ops: list[Op], refs: list[str], texts: list[bytes]) -> Changeset:
        self.seq += 1
        self.clock += 1
        head = Head(
            name=self.name, incarnation=INCARNATION, scope="all", seq=self.seq, clock=(self.clock, 0), author="bench",
            schema="1", prev=self.prev or None, refs=refs, ops=ops,
        )  # fmt: skip
        raw = encode(head)
        changeset = decode(raw, signing.sign_changeset(self.key, hashlib.sha256(raw).digest()), texts)
        self.prev = changeset.dot.hex()
        return changeset


def frames(changesets: Iterable[Changeset], most: int = wire.MAX_FRAME_CHANGESETS) -> Iterator[bytes]:
    """Yield frames as a sender fills them: up to ``most`` changesets or 256 KB each."""
    lines: list[bytes] = []
    size = 0
    for changeset in changesets:
        lines.append(wire.lines_of(changeset.raw, changeset.signature, changeset.values.values()))
        size += len(lines[-1])
        if len(lines) >= most or size >= wire.FRAME_BYTES:
            yield wire.pack(b"".join(lines))
            lines, size = [], 0
    if lines:
        yield wire.pack(b"".join(lines))

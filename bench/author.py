"""A replica that is nothing but a key: it makes signed changesets of records by the thousand, as an edge with editors would.

So a bench has its large sites within seconds, and what they hold was signed, checked and applied like any other content. Each
changeset is a second later than the one before, as its clock and the tokens of its rows say.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.core import signing, wire
from sync.core.changeset import Changeset, Head, Op, Write, decode, detach, encode
from sync.core.slug import make_slug
from sync.core.token import new_token
from sync.core.wire import Frame

LATEST = {"ordering", "updated"}  # fields of which the last writer wins
SINCE = timedelta(days=60)  # that it has written for: no clock runs ahead before it has made five million changesets


def section(record: dict[str, Any], token: str) -> tuple[str, dict[str, Any]]:
    """Return model and fields of a record as a section: a title and its text in one row."""
    fields = {name: record[name] for name in ("title", "description", "ordering")}
    return "content.section", {**fields, "slug": make_slug(record["title"], token)}


def draft(record: dict[str, Any], token: str) -> tuple[str, dict[str, Any]]:
    """Return model and fields of a record as a page that nobody has published."""
    now = datetime.now(UTC).isoformat()
    return "content.page", {
        "title": record["title"],
        "slug": make_slug(record["title"], token),
        "section_id": record["section"],
        "summary": record["description"][:100],
        "authors": [],
        "date": now,
        "image_id": None,
        "seo_title": "",
        "seo_description": "",
        "hidden_from_search": False,
        "publication_id": None,
        "source": "",
        "source_digest": "",
        "created": now,
        "updated": now,
    }


MakeOp = Callable[[dict[str, Any], list[bytes], dict[str, int]], Op]
Shape = Callable[[dict[str, Any], str], tuple[str, dict[str, Any]]]


class Author:
    """Writes rows of one ``shape`` under ``name``, from which key, incarnation and tokens follow."""

    def __init__(self, name: str = "AUTHOR01-BENCH", shape: Shape = section) -> None:
        self.name, self.shape, self.dice = name, shape, random.Random(name)
        self.key = Ed25519PrivateKey.from_private_bytes(self.dice.randbytes(32))
        self.incarnation = f"{self.dice.getrandbits(64):016x}"
        self.seq, self.prev = 0, ""
        # By token of the record: the row that was made of it, its model, and the changeset that wrote its text last.
        self.rows, self.models, self.last = dict[str, str](), dict[str, str](), dict[str, str]()
        self.made = datetime.now(UTC) - SINCE

    @property
    def public(self) -> str:
        """Its public key, as the trusted list has it."""
        return signing.key_text(self.key.public_key())

    def frames(self, records: Iterable[dict[str, Any]], each: int = 1, together: int = 1) -> Iterator[Frame]:
        """Yield frames of ``together`` changesets, each of ``each`` new rows.

        One together is what a transaction of a replica leaves in its log; more is what a replica has pulled.
        """
        changesets = self.insert(records, each)
        while part := list(islice(changesets, together)):
            raw = wire.pack(b"".join(wire.lines_of(c.raw, c.signature, c.values.values()) for c in part))
            yield wire.parse(raw, wire.unpack(raw))

    def insert(self, records: Iterable[dict[str, Any]], each: int = 1) -> Iterator[Changeset]:
        """Yield changesets of ``each`` new rows, the next ones of its chain."""
        return self._made(records, each, self._row)

    def update(self, records: Iterable[dict[str, Any]], each: int = 1) -> Iterator[Changeset]:
        """Yield changesets that give ``each`` rows, inserted before from records of the same tokens, other texts."""
        return self._made(records, each, self._text)

    def _made(self, records: Iterable[dict[str, Any]], each: int, op: MakeOp) -> Iterator[Changeset]:
        left = iter(records)
        while part := list(islice(left, each)):
            texts: list[bytes] = []
            refs: dict[str, int] = {}
            changeset = self._sign([op(record, texts, refs) for record in part], texts, list(refs))
            self.last.update((record["token"], changeset.dot.hex()) for record in part)
            yield changeset

    def _row(self, record: dict[str, Any], texts: list[bytes], refs: dict[str, int]) -> Op:
        token = self.rows[record["token"]] = new_token(self.name, self.made, self.dice.choice)
        model, fields = self.shape(record, token)
        self.models[record["token"]] = model
        return Op(model, token, [_write(name, value, texts) for name, value in fields.items()])

    def _text(self, record: dict[str, Any], texts: list[bytes], refs: dict[str, int]) -> Op:
        known = record["token"]
        over = [refs.setdefault(self.last[known], len(refs))]
        return Op(self.models[known], self.rows[known], [_write("description", record["description"], texts, over)])

    def _sign(self, ops: list[Op], texts: list[bytes], refs: list[str]) -> Changeset:
        self.seq, self.made = self.seq + 1, self.made + timedelta(seconds=1)
        head = Head(
            name=self.name,
            incarnation=self.incarnation,
            scope="all",
            seq=self.seq,
            clock=(int(self.made.timestamp() * 1000), 0),
            author="ada",
            schema="1",
            prev=self.prev or None,
            refs=refs,
            ops=ops,
        )
        raw = encode(head)
        changeset = decode(raw, signing.sign_changeset(self.key, hashlib.sha256(raw).digest()), texts)
        self.prev = changeset.dot.hex()
        return changeset


def frames(changesets: Iterable[Changeset], most: int = wire.MAX_FRAME_CHANGESETS) -> Iterator[bytes]:
    """Yield frames as a sender fills them: up to ``most`` changesets or 256 KB each."""
    lines: list[bytes] = []
    for changeset in changesets:
        lines.append(wire.lines_of(changeset.raw, changeset.signature, changeset.values.values()))
        if len(lines) >= most or sum(map(len, lines)) >= wire.FRAME_BYTES:
            yield wire.pack(b"".join(lines))
            lines = []
    if lines:
        yield wire.pack(b"".join(lines))


def trust_all(authors: Iterable[Author]) -> None:
    """Put all on the trusted list of this master by one changeset."""
    from django.db import transaction

    from sync import admission, incarnation, local, trusting
    from sync.commit import Draft, make
    from sync.core.changeset import Op
    from sync.core.policy import TRUST, Role
    from sync.core.trust import Open, TrustEntry

    with transaction.atomic():
        local.take_turn()
        draft = Draft()
        for author in authors:
            value = trusting.entry_value(TrustEntry({}, Open(Role.EDGE, "bench", "", author.public)))
            draft.ops.append(Op(trusting.MODEL, author.name, [draft.write(trusting.FIELD, None, value, [])]))
        make(TRUST, draft, incarnation.ensure())
        admission.readmit(trusting.refresh())


def _write(name: str, value: Any, texts: list[bytes], over: Sequence[int] = ()) -> Write:
    inline, text = detach(value)
    if text is not None:
        texts.append(text)
    return Write(name, None, inline, list(over), name in LATEST)

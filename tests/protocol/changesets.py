"""Changesets and streams, as docs/sync-protocol.md describes them. Nothing is imported from the program."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor

MAX_FRAME = 64 << 20  # bytes, decompressed
DOMAIN = b"edgecms changeset 1\n"
Chain = tuple[str, str, str]


def key_text(key: Ed25519PrivateKey) -> str:
    """Return the public key as text."""
    return "ed25519:" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def compact(value: Any) -> bytes:
    """Return ``value`` as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Changeset:
    """A changeset as it came: the bytes of its head, its signature, its values by digest."""

    raw: bytes
    signature: bytes
    values: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def head(self) -> dict[str, Any]:
        """The head, read."""
        return dict(json.loads(self.raw))

    @cached_property
    def dot(self) -> str:
        """The first 16 bytes of the id, in hex."""
        return sha256(self.raw)[:32]

    @property
    def chain(self) -> Chain:
        """Name, incarnation, scope."""
        return self.head["name"], self.head["incarnation"], self.head["scope"]

    @property
    def order(self) -> tuple[Any, ...]:
        """What decides which of several heads is shown."""
        name, incarnation, _ = self.chain
        return tuple(self.head["clock"]), name, incarnation, self.head["seq"], self.dot

    def is_signed_by(self, key: str) -> bool:
        """Say whether this is signed with the public key ``key``."""
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("ed25519:")))
        try:
            public.verify(self.signature, DOMAIN + hashlib.sha256(self.raw).digest())
        except InvalidSignature:
            return False
        return True

    def refs(self, indexes: Iterable[int]) -> set[str]:
        """Return the dots that ``indexes`` refer to."""
        return {self.head["refs"][index] for index in indexes}

    def lacking(self) -> set[str]:
        """Return the digests that the head names and that did not come with it."""
        values = [write[2] for op in self.head["ops"] for write in op[2]]
        return {value["#"] for value in values if isinstance(value, dict)} - self.values.keys()

    def said(self, value: Any) -> Any:
        """Return the value of a write: itself, or what travelled beside."""
        return json.loads(self.values[value["#"]]) if isinstance(value, dict) else value

    def lines(self) -> bytes:
        """Return the C and V lines."""
        first = b"C " + base64.b64encode(self.signature) + b" " + self.raw + b"\n"
        return first + b"".join(b"V " + value + b"\n" for value in self.values.values())


class Draft:
    """A changeset in the making: collects references and values that travel beside."""

    def __init__(self) -> None:
        self.refs: list[str] = []
        self.values: dict[str, bytes] = {}
        self.ops: list[list[Any]] = []

    def index(self, dots: Iterable[str]) -> list[int]:
        """Return the indexes of ``dots`` among the references, adding those that are new."""
        wanted = list(dots)
        self.refs += [dot for dot in dict.fromkeys(wanted) if dot not in self.refs]
        return [self.refs.index(dot) for dot in wanted]

    def write(self, name: str, value: Any, over: Iterable[str] = (), element: str | None = None, latest: bool = False) -> Any:
        """Return a write; what is longer than 64 bytes, or an object, travels beside."""
        text = compact(value)
        if isinstance(value, dict) or len(text) > 64:
            self.values[sha256(text)] = text
            value = {"#": sha256(text)}
        return [name, element, value, self.index(over), latest]

    def sign(self, key: Ed25519PrivateKey, **head: Any) -> Changeset:
        """Return the signed changeset; ``head``: the members but for ``refs`` and ``ops``."""
        raw = compact({**head, "refs": self.refs, "ops": self.ops})
        return Changeset(raw, key.sign(DOMAIN + hashlib.sha256(raw).digest()), self.values)


@dataclass
class Frame:
    """The lines of one frame, read."""

    changesets: list[Changeset] = field(default_factory=list)
    first: dict[str, Any] | None = None
    last: dict[str, Any] | None = None


def pack(changesets: Iterable[Changeset]) -> bytes:
    """Return one frame with ``changesets``."""
    return ZstdCompressor().compress(b"".join(c.lines() for c in changesets), ZstdCompressor.FLUSH_FRAME)


def pack_texts(values: Iterable[bytes]) -> bytes:
    """Return one frame with values alone."""
    return ZstdCompressor().compress(b"".join(b"V " + value + b"\n" for value in values), ZstdCompressor.FLUSH_FRAME)


def frames(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """Yield the whole frames of a stream; what follows the last whole one is left out."""
    return map(parse, _lines(chunks))


def texts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the values of a stream that holds nothing else."""
    for lines in _lines(chunks):
        for line in lines.split(b"\n")[:-1]:
            assert line[:2] == b"V ", line[:2]
            yield line[2:]


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    decompressor, text = ZstdDecompressor(), b""
    for chunk in chunks:
        rest = chunk
        while rest:
            text += decompressor.decompress(rest, max_length=MAX_FRAME + 1 - len(text))
            if len(text) > MAX_FRAME:
                raise ValueError(f"a frame grows beyond {MAX_FRAME} bytes")
            if not decompressor.eof:
                break
            yield text
            rest, decompressor, text = decompressor.unused_data, ZstdDecompressor(), b""


def parse(text: bytes) -> Frame:
    """Return the frame with these lines. Raises ValueError for a line that the page does not know."""
    frame, values = Frame(), dict[str, bytes]()
    for line in text.split(b"\n")[:-1]:
        kind, content = line[:2], line[2:]
        if kind == b"C ":
            signature, head = content.split(b" ", 1)
            values = {}
            frame.changesets.append(Changeset(head, base64.b64decode(signature, validate=True), values))
        elif kind == b"V ":
            values[sha256(content)] = content
        elif kind == b"H ":
            frame.first = json.loads(content)
        elif kind == b"E ":
            frame.last = json.loads(content)
        else:
            raise ValueError(f"a line begins with {kind!r}")
    return frame

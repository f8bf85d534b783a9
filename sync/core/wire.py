"""The stream of changesets: lines of text in zstd frames (RFC 8878). A line never crosses frames.

``C <signature in base64> <head>`` a changeset; ``V <JSON>`` a detached value of the changeset above it; ``H <JSON>`` the
first line of a stream and ``E <JSON>`` its last, without which it was cut. Frames are written one after another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from sync.core.changeset import DOT_BYTES, MAX_VALUE_BYTES, Changeset, decode
from sync.core.errors import IncompleteStreamError, MalformedError, TooLargeError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

MEDIA_TYPE = "application/vnd.edgecms.changesets+zstd"
LEVEL = 2  # 7 % less than level 1 for prose, and packed nearly as fast; 3 gains no more
FRAME_BYTES = 256 << 10  # what a frame is filled up to
REQUEST_BYTES = 4 << 20  # what a request that pushes is filled up to
MAX_FRAME_BYTES = 64 << 20  # what a receiver takes, decompressed
MAX_FRAME_CHANGESETS = 200
MAX_CHANGESET_BYTES = 48 << 20  # with its values: it fits into a frame together with what stands there already


@dataclass(frozen=True, slots=True)
class Frame:
    """One zstd frame as it came, its changesets decoded; ``first`` and ``last`` are its H and E lines, if any.

    ``size``: bytes, decompressed.
    """

    raw: bytes
    changesets: list[Changeset]
    first: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    size: int = 0

    @property
    def is_pure(self) -> bool:
        """Whether nothing but changesets stands in it."""
        return self.first is None and self.last is None


def lines_of(raw: bytes, signature: bytes, values: Iterable[bytes]) -> bytes:
    """Return the C and V lines of one changeset."""
    parts = [b"C ", base64.b64encode(signature), b" ", raw, b"\n"]
    for value in values:
        parts += [b"V ", value, b"\n"]
    return b"".join(parts)


def control(kind: str, content: dict[str, Any]) -> bytes:
    """Return an H or E line."""
    return kind.encode() + b" " + orjson.dumps(content) + b"\n"


def pack(lines: bytes) -> bytes:
    """Return ``lines`` as one zstd frame."""
    return ZstdCompressor(level=LEVEL).compress(lines, ZstdCompressor.FLUSH_FRAME)


def unpack(frame: bytes) -> bytes:
    """Return the lines of one whole frame. Raises MalformedError or TooLargeError."""
    lines, rest = _decompress(ZstdDecompressor(), frame)
    if rest is None:
        raise MalformedError("a frame is cut")
    return lines


def _decompress(decompressor: ZstdDecompressor, data: bytes, room: int = MAX_FRAME_BYTES) -> tuple[bytes, bytes | None]:
    """Return the bytes that came out, and what follows the frame (None: it goes on)."""
    try:
        out = decompressor.decompress(data, max_length=room + 1)
    except ZstdError as error:
        raise MalformedError(f"a frame cannot be decompressed: {error}") from None
    if len(out) > room:
        raise TooLargeError(f"a frame grows beyond {MAX_FRAME_BYTES} bytes")
    return out, decompressor.unused_data if decompressor.eof else None


def frames(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """Read a stream, frame by frame, in bounded memory. Raises IncompleteStreamError where it ends inside a frame."""
    for raw, lines in _whole(chunks):
        yield parse(raw, lines)


def texts(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Read a stream of values alone, frame by frame: nothing but V lines. Raises MalformedError, TooLargeError, IncompleteStreamError."""
    for _, lines in _whole(chunks):
        found = lines.split(b"\n")[:-1]
        if not lines.endswith(b"\n") or not all(line.startswith(b"V ") for line in found):
            raise MalformedError("a stream of values has nothing but V lines")
        yield [line[2:] for line in found]


def pack_texts(values: Iterable[bytes]) -> bytes:
    """Return one frame of V lines."""
    return pack(b"".join(b"V " + value + b"\n" for value in values))


def _whole(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    decompressor, raw, text, size = ZstdDecompressor(), [], [], 0
    for chunk in chunks:
        while chunk:
            out, rest = _decompress(decompressor, chunk, MAX_FRAME_BYTES - size)
            raw.append(chunk if rest is None else chunk[: len(chunk) - len(rest)])
            text.append(out)
            size += len(out)
            if rest is None:
                break
            yield b"".join(raw), b"".join(text)
            decompressor, raw, text, size, chunk = ZstdDecompressor(), [], [], 0, rest
    if raw:
        raise IncompleteStreamError("the stream was cut inside a frame")


def parse(raw: bytes, lines: bytes) -> Frame:
    """Return the frame ``raw`` whose lines are given. Raises MalformedError or TooLargeError."""
    found: list[tuple[bytes, bytes, list[bytes]]] = []
    controls: dict[bytes, dict[str, Any]] = {}
    if lines and not lines.endswith(b"\n"):
        raise MalformedError("a line is cut")
    for line in lines.split(b"\n")[:-1]:
        kind, content = line[:2], line[2:]
        if kind == b"C ":
            signature, _, head = content.partition(b" ")
            found.append((head, _signature(signature), []))
        elif kind == b"V " and found:
            if len(content) > MAX_VALUE_BYTES:
                raise TooLargeError(f"a value has {len(content)} bytes; at most {MAX_VALUE_BYTES} are taken")
            found[-1][2].append(content)
        elif kind in (b"H ", b"E "):
            controls[kind] = _object(content)
        else:
            raise MalformedError(f"a line begins with {kind!r}; C, V, H and E are known")
    changesets = [decode(head, signature, values) for head, signature, values in found]
    return Frame(raw, changesets, controls.get(b"H "), controls.get(b"E "), len(lines))


def count(lines: bytes) -> int:
    """Return how many changesets stand in the lines of a frame."""
    return lines.startswith(b"C ") + lines.count(b"\nC ")


def split(lines: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the dot and the lines of each changeset of a frame, without reading what they say."""
    part: list[bytes] = []
    for line in lines.split(b"\n")[:-1]:
        if line.startswith(b"C ") and part:
            yield _dot(part[0]), b"".join(part)
            part = []
        part += [line, b"\n"]
    if part:
        yield _dot(part[0]), b"".join(part)


def _dot(line: bytes) -> bytes:
    return hashlib.sha256(line.split(b" ", 2)[2]).digest()[:DOT_BYTES]


def _signature(text: bytes) -> bytes:
    try:
        signature = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        signature = b""
    if len(signature) != 64:
        raise MalformedError("a signature is not 64 bytes in base64")
    return signature


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"a control line is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedError("a control line is no JSON object")
    return value

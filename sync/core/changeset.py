"""Changesets: what one transaction changed, as bytes that are hashed, chained and signed, and never altered afterwards.

The bytes of a head are JSON; its id is their SHA-256, and nobody writes them anew: what was signed is what is kept and sent on.
A value of more than 64 bytes of JSON stands in the head as its SHA-256 and travels beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from sync.core.clock import Timestamp
from sync.core.errors import MalformedError, TooLargeError, UnwritableError
from sync.core.token import MAX_LENGTH, REPLICA

DOT_BYTES = 16
INLINE_BYTES = 64
MAX_HEAD_BYTES = 24 << 20  # what is taken in; what is applied is less, see ``bounds``
MAX_VALUE_BYTES = 16 << 20
MAX_OPS = 100_000
MAX_NUMBER = 1 << 53  # of sequences and clocks: what every language reads from JSON without loss
INCARNATION = re.compile(r"[0-9a-f]{8,32}")
SCOPE = re.compile(r"[a-z]{1,16}(:[A-Za-z0-9_.-]{0,32})?")
MODEL = re.compile(r"[a-z0-9_.]{1,80}")
FIELD = re.compile(r"[a-z0-9_]{1,80}")
HEX = "0123456789abcdef"


class ChainKey(NamedTuple):
    """The name of a chain: who wrote it, under which incarnation of its database, for whom."""

    name: str
    incarnation: str
    scope: str


class Write(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One register set to a value. ``over``: indexes into the head's ``refs`` of the writes that the author had seen.

    ``element`` is the key inside a ``set`` or ``map`` field, else None. ``value`` is a scalar or list, or {"#": sha256 in hex}
    of a value that travels beside. ``latest`` marks a field that keeps no row alive and raises no conflict.
    """

    field: str
    element: str | None
    value: Any
    over: list[int]
    latest: bool = False

    @property
    def key(self) -> str:
        """The register's name within its row: ``field`` or ``field/element``."""
        return self.field if self.element is None else f"{self.field}/{self.element}"


class Op(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What happened to one row: ``writes``, or a deletion that had seen the writes ``seen`` (indexes into ``refs``)."""

    model: str
    token: str
    writes: list[Write]
    seen: list[int] | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=False):
    """The signed part of a changeset. ``refs`` are dots in hex; ``prev`` is the dot of the chain's previous changeset."""

    name: str
    incarnation: str
    scope: str
    seq: int
    clock: tuple[int, int]
    author: str
    schema: str
    prev: str | None
    refs: list[str]
    ops: list[Op]

    @property
    def chain(self) -> ChainKey:
        """The chain that this changeset belongs to."""
        return _chain(self.name, self.incarnation, self.scope)

    @property
    def stamp(self) -> Timestamp:
        """The clock as a comparable value."""
        return Timestamp(*self.clock)


@lru_cache(maxsize=4096)
def _chain(name: str, incarnation: str, scope: str) -> ChainKey:
    return ChainKey(name, incarnation, scope)


class Changeset(msgspec.Struct, frozen=True, gc=False):
    """A changeset as it is held: ``raw`` are the signed bytes, ``values`` the detached values as JSON text by digest.

    ``dot``: the 16 bytes by which writes name this changeset. It follows from ``id``, as ``prev`` does from the head.
    ``is_complete``: whether every value that the head names is here. What is not handed in of these three is found out.
    """

    raw: bytes
    signature: bytes
    head: Head
    id: bytes
    values: Mapping[str, bytes]
    dot: bytes = b""
    prev: bytes | None = None
    is_complete: bool | None = None

    def __post_init__(self) -> None:
        """Make what is asked for again and again once."""
        if not self.dot:
            msgspec.structs.force_setattr(self, "dot", self.id[:DOT_BYTES])
            msgspec.structs.force_setattr(self, "prev", bytes.fromhex(self.head.prev) if self.head.prev else None)
        if self.is_complete is None:
            msgspec.structs.force_setattr(self, "is_complete", not self.absent())

    def refs(self) -> list[bytes]:
        """The dots that the ops refer to, as bytes."""
        return [bytes.fromhex(ref) for ref in self.head.refs]

    def absent(self) -> set[str]:
        """The digests of the values that the head names and that are not here."""
        return set(digests(self.head)) - self.values.keys()

    def with_values(self, values: Mapping[str, bytes]) -> Changeset:
        """Return this changeset with just those of ``values``, by digest, that its head names."""
        kept = {digest: values[digest] for digest in digests(self.head) if digest in values}
        return msgspec.structs.replace(self, values=kept, is_complete=None)

    def value(self, write: Write) -> Any:
        """Return the value of one of this changeset's writes. Raises KeyError where the value was dropped by compaction."""
        return self.told(write.value) if isinstance(write.value, dict) else write.value

    def told(self, named: Mapping[str, str]) -> Any:
        """Return the value that stands in a write as its digest. Raises KeyError where it was dropped by compaction."""
        return orjson.loads(self.values[named["#"]])


_decoder = msgspec.json.Decoder(Head)


def detach(value: Any) -> tuple[Any, bytes | None]:
    """Return what stands in the op for ``value``, and the JSON text that travels beside it (None where it is short).

    Raises TooLargeError for what no receiver would take, UnwritableError for what is no JSON or an integer beyond 64 bits.
    """
    try:
        text = orjson.dumps(value)
    except TypeError as error:
        raise UnwritableError(
            f"a value cannot be written as JSON that every language reads: {error}; store it as text"
        ) from None
    if len(text) > MAX_VALUE_BYTES:
        raise TooLargeError(f"a value has {len(text)} bytes; at most {MAX_VALUE_BYTES} travel, so make it smaller")
    if len(text) <= INLINE_BYTES and not isinstance(value, dict):
        return value, None
    return {"#": hashlib.sha256(text).hexdigest()}, text


def encode(head: Head) -> bytes:
    """Return the bytes of a new head. Raises TooLargeError for more rows than every receiver takes."""
    if len(head.ops) > MAX_OPS:
        raise TooLargeError(f"one transaction changes {len(head.ops)} rows; split it: the bound is {MAX_OPS} rows")
    return msgspec.json.encode(head)


def decode(raw: bytes, signature: bytes, values: Iterable[bytes] = ()) -> Changeset:
    """Return the changeset of these bytes, its form and its values checked, its signature not.

    Raises MalformedError or TooLargeError.
    """
    if len(raw) > MAX_HEAD_BYTES:
        raise TooLargeError(f"the head of a changeset has {len(raw)} bytes; at most {MAX_HEAD_BYTES} are taken")
    try:
        head = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(f"the head of a changeset cannot be read: {error}") from None
    named = _check(head)
    texts = {hashlib.sha256(text).hexdigest(): text for text in values}
    if not texts.keys() <= named:
        raise MalformedError(f"{head.name} {head.seq} comes with a value that it does not name")
    name, prev = hashlib.sha256(raw).digest(), bytes.fromhex(head.prev) if head.prev else None
    return Changeset(raw, signature, head, name, texts, name[:DOT_BYTES], prev, len(texts) == len(named))


def digests(head: Head) -> Iterator[str]:
    """The digests of the values that travel beside ``head``."""
    for op in head.ops:
        for write in op.writes:
            if isinstance(write.value, dict):
                yield write.value["#"]


def _check(head: Head) -> set[str]:
    """Return the digests of the values that travel beside ``head``. Raises MalformedError or TooLargeError."""
    named: set[str] = set()
    wrong = _misplaced(head)
    for op in head.ops if not wrong else ():
        wrong = _misshapen(op, len(head.refs), named)
        if wrong:
            break
    if wrong:
        raise MalformedError(f"{head.name} {head.seq}: {wrong}")
    return named


def _misplaced(head: Head) -> str:
    """Return what is wrong with the place of a changeset, or with what it refers to; an empty text where nothing is."""
    if len(head.ops) > MAX_OPS:
        raise TooLargeError(f"{head.name} {head.seq} has {len(head.ops)} ops; at most {MAX_OPS} are taken")
    if not _is_chain(head.name, head.incarnation, head.scope):
        return f"{' '.join(head.chain)!r} is no name of a chain"
    if head.seq >= MAX_NUMBER:
        return "its number is out of range"
    if head.seq < 1 or (head.prev is None) != (head.seq == 1):
        return "only the first of a chain has no previous one"
    ms, counter = head.clock
    if not (0 <= ms < MAX_NUMBER and 0 <= counter < MAX_NUMBER):
        return "its clock is out of range"
    is_right = (head.prev is None or _is_hex(head.prev, 2 * DOT_BYTES)) and all(map(is_dot, head.refs))
    return "" if is_right else "a reference is not 32 hex digits"


def _misshapen(op: Op, count: int, named: set[str]) -> str:
    """Return what is wrong with the form of ``op``, whose head has ``count`` references; add the digests in it to ``named``."""
    if not _is_model(op.model) or not 0 < len(op.token) <= MAX_LENGTH or not op.token.isprintable():
        return f"{op.model!r} {op.token!r} is no name of a row"
    for write in op.writes:
        over, value = write.over, write.value
        if over and not 0 <= min(over) <= max(over) < count:
            return "a write refers beyond its references"
        if isinstance(value, dict):
            if value.keys() != {"#"} or not _is_hex(value["#"], 64):
                return f"an object stands in {write.key} where only the digest of one may stand"
            named.add(value["#"])
        if not _is_field(write.field):
            return f"{write.field!r} is no name of a field"
    if op.seen and not 0 <= min(op.seen) <= max(op.seen) < count:
        return "a deletion refers beyond its references"
    return ""


# The same few names stand in nearly all changesets.
@lru_cache(maxsize=4096)
def _is_chain(name: str, incarnation: str, scope: str) -> bool:
    return all((REPLICA.fullmatch(name), INCARNATION.fullmatch(incarnation), SCOPE.fullmatch(scope)))


@lru_cache(maxsize=4096)
def _is_model(text: str) -> bool:
    return MODEL.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _is_field(text: str) -> bool:
    return FIELD.fullmatch(text) is not None


def is_dot(text: Any) -> bool:
    """Say whether ``text`` is a dot as it stands in JSON: 32 hex digits."""
    return _is_hex(text, 2 * DOT_BYTES)


def _is_hex(text: Any, length: int) -> bool:
    return isinstance(text, str) and len(text) == length and not text.strip(HEX)

"""Changesets: what one transaction changed, as bytes that are hashed, chained and signed, and never altered afterwards.

The bytes of a head are JSON; its id is their SHA-256, and nobody writes them anew: what was signed is what is kept and sent on.
A value of more than 64 bytes of JSON stands in the head as its SHA-256 and travels beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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


class ChainKey(NamedTuple):
    """The name of a chain: who wrote it, under which incarnation of its database, for whom."""

    name: str
    incarnation: str
    scope: str


class Write(msgspec.Struct, array_like=True, frozen=True):
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


class Op(msgspec.Struct, array_like=True, frozen=True):
    """What happened to one row: ``writes``, or a deletion that had seen the writes ``seen`` (indexes into ``refs``)."""

    model: str
    token: str
    writes: list[Write]
    seen: list[int] | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
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
        return ChainKey(self.name, self.incarnation, self.scope)

    @property
    def stamp(self) -> Timestamp:
        """The clock as a comparable value."""
        return Timestamp(*self.clock)


@dataclass(frozen=True, slots=True)
class Changeset:
    """A changeset as it is held: ``raw`` are the signed bytes, ``values`` the detached values as JSON text by digest."""

    raw: bytes
    signature: bytes
    head: Head
    id: bytes
    values: Mapping[str, bytes]

    @property
    def dot(self) -> bytes:
        """The 16 bytes by which writes name this changeset."""
        return self.id[:DOT_BYTES]

    def refs(self) -> list[bytes]:
        """The dots that the ops refer to, as bytes."""
        return [bytes.fromhex(ref) for ref in self.head.refs]

    @property
    def is_complete(self) -> bool:
        """Whether every value that the head names is here."""
        return all(digest in self.values for digest in digests(self.head))

    def absent(self) -> set[str]:
        """The digests of the values that the head names and that are not here."""
        return set(digests(self.head)) - self.values.keys()

    def with_values(self, values: Mapping[str, bytes]) -> Changeset:
        """Return this changeset with just those of ``values``, by digest, that its head names."""
        return replace(self, values={digest: values[digest] for digest in digests(self.head) if digest in values})

    def value(self, write: Write) -> Any:
        """Return the value of one of this changeset's writes. Raises KeyError where the value was dropped by compaction."""
        if isinstance(write.value, dict):
            return orjson.loads(self.values[write.value["#"]])
        return write.value


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
    _check(head)
    texts = {hashlib.sha256(text).hexdigest(): text for text in values}
    changeset = Changeset(raw, signature, head, hashlib.sha256(raw).digest(), texts)
    if texts and not texts.keys() <= set(digests(head)):
        raise MalformedError(f"{head.name} {head.seq} comes with a value that it does not name")
    return changeset


def digests(head: Head) -> Iterator[str]:
    """The digests of the values that travel beside ``head``."""
    for op in head.ops:
        for write in op.writes:
            if isinstance(write.value, dict):
                yield write.value["#"]


def _check(head: Head) -> None:
    if len(head.ops) > MAX_OPS:
        raise TooLargeError(f"{head.name} {head.seq} has {len(head.ops)} ops; at most {MAX_OPS} are taken")
    where = f"{head.name} {head.seq}"
    if not (REPLICA.fullmatch(head.name) and INCARNATION.fullmatch(head.incarnation) and SCOPE.fullmatch(head.scope)):
        raise MalformedError(f"{where}: {' '.join(head.chain)!r} is no name of a chain")
    if head.seq >= MAX_NUMBER:
        raise MalformedError(f"{where}: its number is out of range")
    if head.seq < 1 or (head.prev is None) != (head.seq == 1):
        raise MalformedError(f"{where}: only the first of a chain has no previous one")
    if min(head.clock) < 0 or max(head.clock) >= MAX_NUMBER:
        raise MalformedError(f"{where}: its clock is out of range")
    if any(not is_dot(ref) for ref in (*head.refs, *([head.prev] if head.prev else ()))):
        raise MalformedError(f"{where}: a reference is not 32 hex digits")
    count = len(head.refs)
    for op in head.ops:
        if not MODEL.fullmatch(op.model) or not 0 < len(op.token) <= MAX_LENGTH or not op.token.isprintable():
            raise MalformedError(f"{where}: {op.model!r} {op.token!r} is no name of a row")
        for write in op.writes:
            if any(not 0 <= index < count for index in write.over):
                raise MalformedError(f"{where}: a write refers beyond its references")
            _check_value(where, write)
        if any(not 0 <= index < count for index in op.seen or ()):
            raise MalformedError(f"{where}: a deletion refers beyond its references")


def _check_value(where: str, write: Write) -> None:
    value = write.value
    if isinstance(value, dict) and (value.keys() != {"#"} or not _is_hex(value["#"], 64)):
        raise MalformedError(f"{where}: an object stands in {write.key} where only the digest of one may stand")
    if not FIELD.fullmatch(write.field):
        raise MalformedError(f"{where}: {write.field!r} is no name of a field")


def is_dot(text: Any) -> bool:
    """Say whether ``text`` is a dot as it stands in JSON: 32 hex digits."""
    return _is_hex(text, 2 * DOT_BYTES)


def _is_hex(text: Any, length: int) -> bool:
    return isinstance(text, str) and len(text) == length and not text.strip("0123456789abcdef")

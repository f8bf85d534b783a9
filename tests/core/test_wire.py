"""The stream of changesets: read at any cut, bounded, and strict about its form."""

import hashlib
from itertools import pairwise

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.core import changeset, signing, wire
from sync.core.changeset import Head, Op, Write
from sync.core.errors import IncompleteStreamError, MalformedError, TooLargeError

KEY = Ed25519PrivateKey.generate()
TOKEN = "EDGE07-LON-43AX-7K2M9QXV-221126143015"


def head(**changes):
    """Return the head of a first changeset that writes one title, with ``changes``."""
    write = Write("title", None, "Hello", [])
    given = {
        "name": "EDGE07-LON",
        "incarnation": "3f9a07c2d1e45b60",
        "scope": "all",
        "seq": 1,
        "clock": (1, 0),
        "author": "anna",
    }
    return Head(**{**given, "schema": "1", "prev": None, "refs": [], "ops": [Op("content.page", TOKEN, [write])], **changes})


def signed(value, texts=()):
    """Return the lines of the changeset with this head."""
    raw = changeset.encode(value)
    return wire.lines_of(raw, signing.sign_changeset(KEY, hashlib.sha256(raw).digest()), texts)


def stream(*parts):
    """Return frames, one a part."""
    return b"".join(wire.pack(part) for part in parts)


WHOLE = stream(wire.control("H", {"protocol": 1}), signed(head()), signed(head(author="ben")), wire.control("E", {"count": 2}))


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_a_stream_reads_alike_in_whatever_pieces_it_comes(cuts):
    """Networks cut where they like."""
    edges = [0, *sorted(cuts), len(WHOLE)]
    chunks = [WHOLE[start:end] for start, end in pairwise(edges)]
    frames = list(wire.frames(chunks))
    assert [c.head.author for frame in frames for c in frame.changesets] == ["anna", "ben"]
    assert frames[-1].last == {"count": 2}
    assert b"".join(frame.raw for frame in frames) == WHOLE


@given(st.integers(1, len(WHOLE) - 1))
def test_a_stream_cut_at_any_byte_gives_whole_frames_only(end):
    """What comes before the cut is right; that it was cut is seen."""
    frames = []
    try:
        for frame in wire.frames([WHOLE[:end]]):
            frames.append(frame)
        assert frames[-1].last is None
    except IncompleteStreamError:
        pass
    assert [c.head.author for frame in frames for c in frame.changesets] == ["anna", "ben"][: max(0, len(frames) - 1)]


def test_the_id_is_the_hash_of_the_signed_bytes():
    """A changeset is known by the SHA-256 of its bytes, and named by the first 16 of these."""
    raw = changeset.encode(head())
    [frame] = wire.frames([stream(signed(head()))])
    found = frame.changesets[0]
    assert found.raw == raw
    assert found.id == hashlib.sha256(raw).digest()
    assert found.dot == found.id[:16]
    assert signing.is_signed_by(KEY.public_key(), found.id, found.signature)
    assert not signing.is_signed_by(KEY.public_key(), found.id[::-1], found.signature)


def test_a_long_value_travels_beside_and_is_found_by_its_digest():
    """More than 64 bytes of JSON, or an object, stand in the head as their SHA-256."""
    inline, text = changeset.detach("x" * 100)
    value = head(ops=[Op("content.page", TOKEN, [Write("summary", None, inline, [])])])
    [frame] = wire.frames([stream(signed(value, [text]))])
    found = frame.changesets[0]
    assert found.value(found.head.ops[0].writes[0]) == "x" * 100
    assert changeset.detach("short") == ("short", None)
    assert changeset.detach({"a": 1})[1] == b'{"a":1}'


def test_a_value_that_the_head_does_not_name_is_refused():
    """A relay can take a value away; it cannot put another in its place."""
    with pytest.raises(MalformedError, match="does not name"):
        list(wire.frames([stream(signed(head(), [b'"smuggled"']))]))


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 0},
        {"seq": 2},
        {"prev": "ab" * 16},
        {"clock": (-1, 0)},
        {"refs": ["xyz"]},
        {"ops": [Op("m", "t", [Write("title", None, 1, [0])])]},
        {"ops": [Op("m", "t", [], [3])]},
        {"ops": [Op("m", "t", [Write("title", None, {"a": 1}, [])])]},
        {"ops": [Op("m", "t", [Write("a/b", None, 1, [])])]},
    ],
)
def test_a_head_that_contradicts_itself_is_refused(changes):
    """Numbers, references and values are checked before anything is believed."""
    raw = msgspec.json.encode(head(**changes))
    with pytest.raises(MalformedError):
        changeset.decode(raw, bytes(64))


@pytest.mark.parametrize("line", [b"X what\n", b"V orphan\n", b"C nosignature {}\n", b"H no json\n", b"C", b'C \xff {"a":1}\n'])
def test_a_line_that_is_not_of_the_protocol_is_refused(line):
    """Nothing is guessed."""
    with pytest.raises(MalformedError):
        list(wire.frames([stream(line)]))


def test_json_nested_too_deep_is_refused():
    """A hundred thousand brackets do not reach the stack."""
    raw = b'{"name":' + b"[" * 100_000 + b"}"
    with pytest.raises(MalformedError):
        changeset.decode(raw, bytes(64))


def test_a_bomb_is_refused_before_it_has_grown():
    """A small frame of many zeros stops at the bound."""
    with pytest.raises(TooLargeError):
        list(wire.frames([wire.pack(bytes(wire.MAX_FRAME_BYTES + 1))]))


def test_bytes_that_are_no_frame_are_refused():
    """As a proxy's error page would be."""
    with pytest.raises(MalformedError):
        list(wire.frames([b"<html>Bad gateway</html>"]))

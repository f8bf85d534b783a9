"""A stream cut at every line, and at any byte: what came whole is kept, the rest follows, nothing comes twice."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sync import log
from sync.core import wire
from sync.core.changeset import Changeset
from sync.core.errors import IncompleteStreamError, SyncError
from sync.receive import receive
from sync.stream import Stream
from tests.sync.origins import Origin, backup, state, take_back, title

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor

pytestmark = pytest.mark.django_db(transaction=True)

FRAMES, IN_EACH = 5, 4
NAMES = ("EDGE01-LON", "EDGE02-LON")
RANDOM_CUTS = 60
LONG = "a text so long that it stands in a line of its own, below the line of the changeset that it belongs to, "


@dataclass
class Sent:
    """A stream as a peer sends it. ``ends``: the offsets at which frames end; ``lines``: those after which a line is whole."""

    body: bytes
    frames: list[list[Changeset]]
    ends: list[int]
    lines: list[int]

    def held_after(self, cut: int) -> set[bytes]:
        """Return the changesets in frames that are whole within the first ``cut`` bytes."""
        whole = sum(1 for end in self.ends if end <= cut)
        return {changeset.dot for frame in self.frames[:whole] for changeset in frame}


def stream(origins: list[Origin]) -> Sent:
    """Return frames of some changesets of each origin, every line a block of its own, so that a cut can fall behind any line."""
    chance, body, sent = random.Random(5), bytearray(), Sent(b"", [], [], [])
    made = [
        origin.make(title(f"ROW{number:02}", f"{LONG if chance.random() < 0.5 else ''}{origin.name} {number}"))
        for number in range(FRAMES * IN_EACH // len(origins))
        for origin in origins
    ]
    for start in range(0, len(made), IN_EACH):
        part, compressor = made[start : start + IN_EACH], ZstdCompressor(level=1)
        sent.frames.append(part)
        for changeset in part:
            for line in wire.lines_of(changeset.raw, changeset.signature, changeset.values.values()).splitlines(keepends=True):
                body += compressor.compress(line, ZstdCompressor.FLUSH_BLOCK)
                sent.lines.append(len(body))
        body += compressor.flush()
        sent.ends.append(len(body))
    count = sum(map(len, sent.frames))
    sent.body = bytes(body) + wire.pack(wire.control("E", {"count": count}))
    return sent


def pulled(body: bytes, at_once: int) -> str:
    """Take ``body`` as a pull does, ``at_once`` bytes at a time; return the code of its error, or nothing."""
    reader = Stream(wire.frames(body[at : at + at_once] for at in range(0, len(body), at_once)))
    try:
        receive(reader)
        reader.check()
    except SyncError as error:
        return error.code
    return ""


def cuts(sent: Sent) -> Iterator[int]:
    """Yield where the line breaks: behind each line, at each end of a frame and beside it, and anywhere."""
    chance = random.Random(9)
    yield from {0, *sent.lines, *sent.ends, *(end - 1 for end in sent.ends), *(end + 1 for end in sent.ends)}
    yield from (chance.randrange(len(sent.body)) for _ in range(RANDOM_CUTS))


def test_a_stream_cut_anywhere_is_gone_on_with():
    """Just the whole frames before the cut are held; the same stream again brings the rest, and all is as if it had never broken."""
    origins = [Origin(name, incarnation=f"00000000000000a{number}").trust_here() for number, name in enumerate(NAMES)]
    sent, before = stream(origins), backup()
    everything = {changeset.dot for frame in sent.frames for changeset in frame}
    assert pulled(sent.body, 1 << 16) == ""
    whole = state()
    assert len(sent.lines) > len(everything)
    for number, cut in enumerate(cuts(sent)):
        take_back(before)
        at_once = (1, 7, 1 << 16)[number % 3]
        assert pulled(sent.body[:cut], at_once) == IncompleteStreamError.code, cut
        assert set(log.known(everything)) == sent.held_after(cut), cut
        rest = sum(1 for end in sent.ends if end <= cut)
        again = sent.body if number % 2 else b"".join(_from(sent, rest))
        pulled(again, at_once)
        assert len(list(log.scan(state=None, scope="all"))) == len(everything), cut
        assert state() == whole, cut


def _from(sent: Sent, frame: int) -> Iterator[bytes]:
    """Yield the stream from a frame on, as a peer sends it to who says what it holds."""
    yield sent.body[sent.ends[frame - 1] if frame else 0 :]


def test_streams_that_always_break_get_there():
    """Each of many pulls is cut a little later than the one before; what each brings is kept, and none brings anything twice."""
    origin = Origin("EDGE01-LON").trust_here()
    sent = stream([origin])
    everything = {changeset.dot for frame in sent.frames for changeset in frame}
    held: set[bytes] = set()
    for cut in sorted(cuts(sent)):
        pulled(sent.body[:cut], 64)
        now = set(log.known(everything))
        assert now == held | sent.held_after(cut)
        held = now
    assert pulled(sent.body, 64) == "" and set(log.known(everything)) == everything
    assert len(list(log.scan(state=None, scope="all"))) == len(everything)

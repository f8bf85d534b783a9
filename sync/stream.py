"""The answer to a pull as it comes: its first line says what the peer holds, its last whether all of it came."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from sync import exchange, missing
from sync.core import wire
from sync.core.errors import IncompleteStreamError, MalformedError


class Stream:
    """The frames of a pull, counted; ``check`` says whether the last line came."""

    def __init__(self, frames: Iterator[wire.Frame]) -> None:
        self.frames, self.count = frames, 0
        self.first: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None
        self._read: list[wire.Frame] = []  # what was read before somebody wanted frames

    def begin(self) -> dict[str, Any] | None:
        """Read the first frame and return what its first line says; None where nothing comes. Raises MalformedError."""
        frame = next(self.frames, None)
        if frame is None:
            return None
        self._read = [self._noted(frame)]
        if frame.first is None:
            raise MalformedError("a stream that answers a pull begins with an H line")
        return frame.first

    def __iter__(self) -> Iterator[wire.Frame]:
        while self._read:
            yield self._read.pop()
        for frame in self.frames:
            yield self._noted(frame)

    def _noted(self, frame: wire.Frame) -> wire.Frame:
        self.count += len(frame.changesets)
        self.first, self.last = frame.first or self.first, frame.last or self.last
        return frame

    @cached_property
    def tips(self) -> list[exchange.TipAt]:
        """What the peer said that it holds, known once the first frame has come."""
        return exchange.tips_from_json((self.first or {}).get("tips", []))

    def lacking(self) -> list[bytes] | None:
        """Return of which changesets the peer lacked a value."""
        return missing.lacking(missing.pairs_from_json((self.first or {}).get("values_missing")))

    def check(self) -> None:
        """Raise IncompleteStreamError where the stream was cut between frames."""
        if self.last is None or self.last.get("count") != self.count:
            raise IncompleteStreamError("the stream was cut; what came is kept, the next pull goes on from there")

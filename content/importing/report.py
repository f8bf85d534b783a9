"""What an import has to say at its end, and the one error by which a file fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


class PageError(Exception):
    """A file cannot become a page; its author must act. ``line`` is counted from 1 in the file."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that did not become a page."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Markup that has no place in a block, ``count`` times on one page; ``line`` is the first of them."""

    file: str
    line: int
    what: str
    why: str
    count: int


class Drops:
    """Collects what one page loses, alike things together."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], int] = {}
        self._count: Counter[tuple[str, str]] = Counter()

    def add(self, line: int, what: str, why: str) -> None:
        """Note that ``what`` at ``line`` is not carried over, because of ``why``."""
        key = (shorten(what, 120), why)
        self._first.setdefault(key, line)
        self._count[key] += 1

    def of(self, file: str) -> list[Dropped]:
        """Return what was collected, in the order of the file."""
        entries = [Dropped(file, line, what, why, self._count[what, why]) for (what, why), line in self._first.items()]
        return sorted(entries, key=lambda entry: entry.line)


@dataclass(slots=True)
class Report:
    """What one run did. ``pages`` counts every page that is in the folder and in the database afterwards."""

    pages: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    drafts: int = 0
    redirects: int = 0
    sections: list[str] = field(default_factory=list)
    images: int = 0
    missing_images: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return asdict(self)


def shorten(text: str, length: int) -> str:
    """Return ``text`` on one line, with an ellipsis where it is longer than ``length`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"

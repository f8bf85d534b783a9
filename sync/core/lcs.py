"""What one sequence has in common with another: a longest common subsequence, with a bound on the work.

After Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1, 1986. Our own and not difflib, which may choose
otherwise in another Python: replicas that chose differently would show different merges. Whoever changes a choice made here
raises ``VERSION``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

VERSION = 1


class TooCostlyError(Exception):
    """The bound on the work is reached. The bound counts steps, so it is reached on every replica or on none."""


class Budget:
    """Steps that a computation may take in all."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take ``steps``. Raises TooCostlyError where there are not so many left."""
        self.left -= steps
        if self.left < 0:
            raise TooCostlyError


class Hunk(NamedTuple):
    """``base[start:end]`` stands as ``other[begin:stop]`` in the other sequence."""

    start: int
    end: int
    begin: int
    stop: int


def hunks(base: Sequence[Hashable], other: Sequence[Hashable], budget: Budget) -> list[Hunk]:
    """Return where ``other`` differs from ``base``, in order. Raises TooCostlyError."""
    found, place, there = [], 0, 0
    for x, y in [*pairs(base, other, budget), (len(base), len(other))]:
        if x > place or y > there:
            found.append(Hunk(place, x, there, y))
        place, there = x + 1, y + 1
    return found


def pairs(base: Sequence[Hashable], other: Sequence[Hashable], budget: Budget) -> list[tuple[int, int]]:
    """Return the indexes of a longest common subsequence, ascending. Raises TooCostlyError."""
    first = 0
    while first < min(len(base), len(other)) and base[first] == other[first]:
        first += 1
    last = 0
    while last < min(len(base), len(other)) - first and base[-1 - last] == other[-1 - last]:
        last += 1
    budget.spend(len(base) + len(other))
    a, b = base[first : len(base) - last], other[first : len(other) - last]
    middle = sorted(_matches(_ends(a, b, budget), len(a), len(b)))
    return [
        *((i, i) for i in range(first)),
        *((first + x, first + y) for x, y in middle),
        *((len(base) - i, len(other) - i) for i in range(last, 0, -1)),
    ]


def _ends(a: Sequence[Hashable], b: Sequence[Hashable], budget: Budget) -> list[dict[int, int]]:
    """Return, for each number of edits, how far each diagonal came before it; the last one reaches both ends."""
    ends, history = {1: 0}, []
    for edits in range(len(a) + len(b) + 1):
        budget.spend(2 * edits + 1)
        history.append(ends.copy())
        for diagonal in range(-edits, edits + 1, 2):
            x = _step(ends, diagonal, edits)
            start = x
            while x < len(a) and x - diagonal < len(b) and a[x] == b[x - diagonal]:
                x += 1
            budget.spend(x - start)
            ends[diagonal] = x
            if x >= len(a) and x - diagonal >= len(b):
                return history
    return history


def _step(ends: dict[int, int], diagonal: int, edits: int) -> int:
    """Return where the ``edits``-th edit leads on ``diagonal``: an insertion where that has come further, else a removal."""
    if _is_insertion(ends, diagonal, edits):
        return ends[diagonal + 1]
    return ends[diagonal - 1] + 1


def _is_insertion(ends: dict[int, int], diagonal: int, edits: int) -> bool:
    return diagonal == -edits or (diagonal != edits and ends[diagonal - 1] < ends[diagonal + 1])


def _matches(history: list[dict[int, int]], x: int, y: int) -> Iterator[tuple[int, int]]:
    for edits in range(len(history) - 1, -1, -1):
        ends, diagonal = history[edits], x - y
        before = diagonal + 1 if _is_insertion(ends, diagonal, edits) else diagonal - 1
        while x > ends[before] and y > ends[before] - before:
            x, y = x - 1, y - 1
            yield x, y
        x, y = ends[before], ends[before] - before

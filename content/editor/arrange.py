"""Which keys a new order of blocks needs: as few as possible change, since every changed row travels to every replica."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from content.ordering import spread

KEY = re.compile(r"[0-9A-Za-z]*[1-9A-Za-z]")


def longest_rise(values: Sequence[tuple[str, str]]) -> list[int]:
    """Return the indexes of a longest strictly increasing subsequence of ``values``. O(n log n)."""
    tails: list[int] = []  # tails[n]: where the rise of length n + 1 with the lowest end stops
    before: list[int | None] = []
    for index, value in enumerate(values):
        place = bisect_left([values[tail] for tail in tails], value)
        before.append(tails[place - 1] if place else None)
        tails[place : place + 1] = [index]
    rise: list[int] = []
    at: int | None = tails[-1] if tails else None
    while at is not None:
        rise.append(at)
        at = before[at]
    return rise[::-1]


def arrange(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Return the keys that put blocks into the order ``wanted``, each block given as (key, token).

    An empty key stands for a new block. A block keeps its key unless it moved, or its key is no fractional key at all.
    """
    standing = [index for index, (key, _) in enumerate(wanted) if KEY.fullmatch(key)]
    kept = {standing[index] for index in longest_rise([wanted[index] for index in standing])}
    keys = [key for key, _ in wanted]
    gap: list[int] = []
    low = ""
    for index, key in enumerate(keys):
        # Two replicas may have given out one key twice; there is no room between equals, so the second one moves on.
        if index not in kept or (gap and key <= low):
            gap.append(index)
            continue
        _fill(keys, gap, low, key)
        gap, low = [], key
    _fill(keys, gap, low, "")
    return keys


def _fill(keys: list[str], gap: list[int], low: str, high: str) -> None:
    for index, key in zip(gap, spread(len(gap), low, high), strict=True):
        keys[index] = key

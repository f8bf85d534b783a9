"""What the authors of several writes had all seen: their maximal common ancestors in the graph of ``over``."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Dot = bytes
MAX_VISITED = 300  # writes of one register: beyond, nothing is merged


class TangledError(Exception):
    """The ancestors are too many, or a write names one that is not older than itself."""


def common_ancestors(
    dots: Sequence[Dot], parents: Callable[[Dot], Iterable[Dot]], order: Callable[[Dot], Any], limit: int = MAX_VISITED
) -> list[Dot]:
    """Return the writes that all of ``dots`` descend from, without those that another of these descends from; sorted.

    ``order`` is greater for a write than for any of its ``parents``: so a write is looked at after all that descend from it, as
    git does in ``paint_down_to_common``. Raises TangledError.
    """
    everyone, stale = (1 << len(dots)) - 1, 1 << len(dots)
    flags = {dot: 1 << number for number, dot in enumerate(dots)}
    queue = sorted((order(dot), dot) for dot in dots)
    found: list[Dot] = []
    while any(not flags[dot] & stale for _, dot in queue):
        place, dot = queue.pop()
        if flags[dot] == everyone:
            found.append(dot)
            flags[dot] |= stale
            if all(flags[other] & stale for _, other in queue):
                break  # nothing is left that might be below it
        for parent in parents(dot):
            if parent not in flags:
                if order(parent) >= place or len(flags) >= limit:
                    raise TangledError
                flags[parent] = 0
                insort(queue, (order(parent), parent))
            elif order(parent) >= place:
                raise TangledError
            flags[parent] |= flags[dot]
    return sorted(found)

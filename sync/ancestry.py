"""Paths in the chains of the log: what lies below what, also where a chain is forked.

A changeset that is alone with its number lies below everything of its chain that has a greater one. So a walk is needed only
through the numbers that several branches share, and a chain that is not forked needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Count, Q

from sync import log
from sync.core.clock import Timestamp
from sync.log import Known
from sync.models import Entry, Tip

PAGE = 500  # numbers read by one statement

Step = tuple[bytes, bytes | None]  # a changeset and the one before it


def is_forked(chain: int) -> bool:
    """Say whether a chain has several tips."""
    return Tip.objects.filter(chain=chain).count() > 1


def last_before(end: bytes, bound: Timestamp) -> bytes | None:
    """Return the last changeset on the path to ``end`` whose clock is no later than ``bound``; None if none is."""
    return _last(end, Q(ms__lt=bound.ms) | Q(ms=bound.ms, counter__lte=bound.counter))


def last_up_to(end: bytes, seq: int) -> bytes | None:
    """Return the last changeset on the path to ``end`` whose number is no greater than ``seq``; None if none is."""
    return _last(end, Q(seq__lte=seq))


def _last(end: bytes, is_early: Q) -> bytes | None:
    place = log.known([end])[end]
    early = Entry.objects.filter(is_early, chain=place.chain, seq__lte=place.seq).order_by("-seq").values_list("dot", flat=True)
    if not is_forked(place.chain):
        last = early.first()
        return bytes(last) if last else None
    dots = {bytes(dot) for dot in early}
    return next((dot for dot, _ in _path(place) if dot in dots), None)


def lacking(tips: Iterable[Known], held: Iterable[Known]) -> set[bytes]:
    """Return what is at or below ``tips`` and neither at nor below ``held``; all of one chain."""
    theirs = {place.dot: place for place in held}
    wanted = {tip.dot: tip for tip in tips if tip.dot not in theirs}
    if not wanted:
        return set()
    top = max(tip.seq for tip in wanted.values())
    below = {_lowered(place, top).dot: _lowered(place, top) for place in theirs.values()}
    start = max(place.seq for place in [*wanted.values(), *below.values()])
    return _descend(next(iter(wanted.values())).chain, start, set(wanted), set(below))


def _descend(chain: int, start: int, wanted: set[bytes], below: set[bytes]) -> set[bytes]:
    """Go down from the number ``start``; gather what is on a path from ``wanted`` until the paths from ``below`` meet them all."""
    found: set[bytes] = set()
    for dot, prev in _steps(chain, start):
        if dot in below:
            below.discard(dot)
            wanted.discard(dot)
            below |= {prev} if prev else set()
        elif dot in wanted:
            wanted.discard(dot)
            found.add(dot)
            wanted |= {prev} if prev else set()
        if wanted <= below:
            break
    return found


def _steps(chain: int, start: int) -> Iterator[Step]:
    """Yield the changesets of a chain from the number ``start`` down, all branches."""
    while start > 0:
        query = Entry.objects.filter(chain=chain, seq__lte=start, seq__gt=start - PAGE).order_by("-seq")
        for dot, prev in query.values_list("dot", "prev"):
            yield bytes(dot), bytes(prev) if prev else None
        start -= PAGE


def _path(place: Known) -> Iterator[Step]:
    """Yield ``place`` and its ancestors, downwards."""
    awaited: bytes | None = place.dot
    for dot, prev in _steps(place.chain, place.seq):
        if dot == awaited:
            yield dot, prev
            awaited = prev


def _lowered(place: Known, seq: int) -> Known:
    """Return the ancestor of ``place`` that is alone with its number, the lowest such from ``seq`` up; itself where none is."""
    if place.seq <= seq:
        return place
    query = Entry.objects.filter(chain=place.chain, seq__gte=seq, seq__lt=place.seq)
    alone = (
        query.values("seq").annotate(count=Count("pk")).filter(count=1).order_by("seq").values_list("seq", flat=True).first()
    )
    if alone is None:
        return place
    dot = bytes(Entry.objects.values_list("dot", flat=True).get(chain=place.chain, seq=alone))
    return log.known([dot])[dot]


def markers(chain: int, top: int) -> list[tuple[int, bytes]]:
    """Return number and dot of changesets below the number ``top``, at distances of 1, 2, 4, 8 and so on, and of the first."""
    levels = [top - (1 << power) for power in range(top.bit_length()) if (1 << power) < top]
    rows = Entry.objects.filter(chain=chain, seq__in=[*levels, 1]).order_by("-seq").values_list("seq", "dot")
    return [(seq, bytes(dot)) for seq, dot in rows]

"""The history of one register: every write to it that counts, the oldest first, with what was dropped here fetched again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sync import log, sweep
from sync.missing import Pair
from sync.models import Entry
from sync.registers import Batch, RowKey
from sync.values import Values


@dataclass(frozen=True, slots=True)
class Past:
    """One write: by which replica (``origin``) and whom, when, over which others; ``value`` is None where it ``is_dropped``."""

    dot: bytes
    origin: str
    author: str
    time: datetime
    over: list[bytes]
    is_head: bool
    value: Any
    is_dropped: bool


def history(row: RowKey, key: str, fetch: Callable[[list[Pair]], Any] = sweep.fetch) -> list[Past]:
    """Return the writes to the register ``key`` (``field`` or ``field/element``) of ``row``, in the order that decides what is shown.

    Values that are not here are asked of the peers that this replica may pull from; where none has them they stay dropped.
    """
    batch, values = Batch(), Values()
    batch.load([row])
    heads = batch.slots[row].row.heads.get(key, ()) if row in batch.slots else ()
    dots = _ancestors(row, key, heads, values)
    told = [_past(row, key, dot, heads, values) for dot in dots]
    if values.absent:
        fetch(sorted(values.absent))
        values = Values()
        values.prefetch(dots)
        told = [_past(row, key, dot, heads, values) for dot in dots]
    return told


def _ancestors(row: RowKey, key: str, heads: tuple[bytes, ...], values: Values) -> list[bytes]:
    """Every write that counts is a head, or is named by one that does."""
    found, level = set[bytes](), set(heads)
    while level:
        values.prefetch(level)
        found |= level
        level = {dot for head in level for dot in values.over(row, key, head)} - found
    places = log.known(found)
    counting = [dot for dot, place in places.items() if place.state == Entry.State.APPLIED and values.write(row, key, dot)]
    return sorted(counting, key=lambda dot: (places[dot].stamp, dot))


def _past(row: RowKey, key: str, dot: bytes, heads: tuple[bytes, ...], values: Values) -> Past:
    changeset = values.changeset(dot)
    assert changeset is not None, "it is in the log"
    try:
        value, is_dropped = values.value(row, key, dot), False
    except KeyError:
        value, is_dropped = None, True
    head = changeset.head
    time = datetime.fromtimestamp(head.clock[0] / 1000, UTC)
    return Past(dot, head.name, head.author, time, values.over(row, key, dot), dot in heads, value, is_dropped)

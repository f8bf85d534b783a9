"""Conflicts as the tests of the admin need them: what was written here, and elsewhere without knowing of it."""

from __future__ import annotations

from typing import Any

from django.db import models

from sync import local, pending
from sync.core.changeset import Op, Write
from sync.registers import Batch, Slot
from sync.versions import row_key
from tests.sync.origins import Origin, arrive


def edge() -> Origin:
    """Return an edge that is trusted here."""
    return Origin("EDGE01-LON").trust_here()


def registers(row: models.Model) -> Slot:
    """Return the registers of ``row``."""
    batch, key = Batch(), row_key(type(row), row.pk)
    batch.load([key])
    return batch.slots[key]


def next_moment() -> int:
    """Return a wall clock in milliseconds that is later than everything before, and earlier than everything after."""
    for _ in range(2):
        moment = local.wall_ms()
        while local.wall_ms() == moment:
            pass
    return moment + 1


def dispute(
    origin: Origin, row: Any, name: str, mine: Any, theirs: Any, *, theirs_is_later: bool = False, here: str = "mira"
) -> None:
    """Let ``here`` write ``mine`` here and "ada" ``theirs`` at ``origin``, into one register, neither knowing of the other.

    The later one is shown: mine, unless ``theirs_is_later``.
    """
    field, _, element = name.partition("/")
    heads = registers(row).row.heads.get(name, ())
    moment = next_moment()
    next_moment()
    with pending.written_by(here):
        setattr(row, field, {**getattr(row, field), element: mine} if element else mine)
        row.save()
    write = Write(field, element or None, theirs, list(range(len(heads))))
    arrive(
        origin.make(
            Op(row_key(type(row), row.pk).model, row.pk, [write]), refs=heads, ms=next_moment() if theirs_is_later else moment
        )
    )
    row.refresh_from_db()


def delete_elsewhere(origin: Origin, row: Any, then: Any = None) -> None:
    """Let "ada" delete ``row`` at ``origin``, who had not seen what ``then()`` writes here."""
    slot = registers(row)
    dots, moment = slot.row.dots(), next_moment()
    next_moment()
    if then is not None:
        with pending.written_by("mira"):
            then()
    model = row_key(type(row), row.pk).model
    arrive(origin.make(Op(model, row.pk, [], list(range(len(dots)))), refs=dots, ms=moment))

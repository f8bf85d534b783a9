"""Putting right what differs from the log: registers, rows, claims and digests are derived again. Nothing is signed or sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from sync import local, registers
from sync.db import sql
from sync.models import Register
from sync.rebuild import claim_all, rebuild
from sync.registers import RowKey
from sync.registry import spec_of
from sync.verify import Difference

ROWS = 2000  # of one transaction, each of which reads the log once


def repair(differences: Iterable[Difference]) -> int:
    """Derive again what ``differences`` name; return how many rows that were. Writers wait meanwhile."""
    found = list(differences)
    rows = sorted({RowKey(d.model, d.token) for d in found if d.what in ("row", "registers")})
    for start in range(0, len(rows), ROWS):
        part = set(rows[start : start + ROWS])
        with transaction.atomic():
            local.take_turn()
            _renew(part, [d for d in found if RowKey(d.model, d.token) in part])
    if found:
        with transaction.atomic():
            local.take_turn()
            if any(d.what == "claim" for d in found):
                claim_all()
            registers.recount()
    return len(rows)


def _renew(rows: set[RowKey], differences: Sequence[Difference]) -> None:
    for d in differences:
        model = spec_of(d.model)
        if d.what == "row" and d.there is None and d.field is None and model is not None:
            sql.delete_in(model.table, "token", [d.token])  # before what keeps a whole alive by being there
    wrong = [d for d in differences if d.what == "registers"]
    stored = {RowKey(d.model, d.token).stored for d in wrong}
    stored |= {d.here["key"] for d in wrong if isinstance(d.here, dict) and "key" in d.here}
    sql.delete_in(Register._meta.db_table, "key", sorted(stored))
    rebuild(rows)

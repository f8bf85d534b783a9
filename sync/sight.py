"""What the form that wrote a transaction had before it: from the versions that it carries to what its writes overwrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from sync import conf, local
from sync.core.changeset import Changeset
from sync.core.clock import ZERO, Timestamp
from sync.difference import RowChange
from sync.models import Written
from sync.pending import Session, Shown
from sync.registers import RowKey, Slot
from sync.values import Values

KEPT = timedelta(days=1)  # how long a session is remembered


class Sight:
    """Answers for one transaction. Where no form wrote it, every answer is None, and nothing is read."""

    def __init__(self, shown: Mapping[RowKey, Shown], session: Session | None, values: Values) -> None:
        self.shown, self.session, self.values = shown, session, values
        written = Written.objects.filter(session=session.id).values_list("dot", "counter") if session else ()
        self.own = {bytes(dot): counter for dot, counter in written}

    @property
    def clock(self) -> Timestamp:
        """The clock of the form, which its writes are later than; zero where that lies too far ahead to be true."""
        clock = self.session.clock if self.session else ZERO
        return ZERO if clock.is_ahead(local.wall_ms(), conf.max_clock_drift_ms()) else clock

    def over(self, row: RowKey, key: str, slot: Slot) -> list[bytes] | None:
        """Return the writes to the register ``key`` that were shown, or made by the same session; None where none is known of."""
        shown = self.shown.get(row)
        if shown is None or key.split("/", 1)[0] not in shown.fields:
            return None
        return self._known(row, {*shown.heads.get(key, ()), *self.own}, slot.row.heads.get(key, ()), key)

    def deletion(self, row: RowKey, slot: Slot) -> list[bytes] | None:
        """Return the writes to ``row`` that were shown to whom deletes it, or made by him; None where none is known of."""
        shown = self.shown.get(row)
        if shown is None:
            return None
        dots = {dot for heads in shown.heads.values() for dot in heads}
        return self._known(row, dots | self.own.keys(), slot.row.dots())

    def _known(self, row: RowKey, dots: set[bytes], heads: Iterable[bytes], key: str | None = None) -> list[bytes]:
        """Return those of ``dots`` that did write here: nothing is named that this replica does not hold."""
        stand = dots.intersection(heads)
        return sorted(stand | self._wrote(row, dots - stand, key))

    def _wrote(self, row: RowKey, dots: set[bytes], key: str | None) -> set[bytes]:
        self.values.prefetch(dots)
        return {
            dot
            for dot in dots
            if (changeset := self.values.changeset(dot)) is not None
            and any(
                (op.model, op.token) == row and (key is None or any(write.key == key for write in op.writes))
                for op in changeset.head.ops
            )
        }

    def without_overtaken(self, row: RowKey, change: RowChange) -> RowChange:
        """Return ``change`` without what a later save of the same form, which came first, has written already."""
        later = {dot for dot, counter in self.own.items() if self.session and counter > self.session.counter}
        overtaken = {each.key for each in change.changes if later and self._wrote(row, later, each.key)}
        if not overtaken:
            return change
        names = {each.field.name for each in change.changes if each.key in overtaken}
        return replace(
            change,
            changes=[each for each in change.changes if each.key not in overtaken],
            restore=change.restore | names,
        )

    def remember(self, made: Iterable[Changeset]) -> None:
        """Note what the session has written, and forget sessions of yesterday."""
        if self.session is None:
            return
        now, session = timezone.now(), self.session
        Written.objects.filter(made__lt=now - KEPT).delete()
        Written.objects.bulk_create(Written(session=session.id, dot=c.dot, counter=session.counter, made=now) for c in made)

"""Writing again, under the right time, what was written while the clock ran ahead.

Others hold it until the world has caught up, and everything behind it in its chain. So this replica goes on under a new
incarnation, with a clock that starts again, and says once more what it had said: the same values, over those and over all that
they had overwritten. What was ahead can then win nothing any more, and is held by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from sync import claims, conf, incarnation, local, log, pending, rebuild
from sync.commit import Draft, make
from sync.core.changeset import Changeset, Op, Write
from sync.core.policy import TRUST
from sync.fold import fold, rows_of
from sync.models import Entry, Local
from sync.registers import Batch, RowKey, Slot
from sync.values import Values

ROWS = 1000  # in one changeset; nearly always that is all of them


def is_ahead(own: Local) -> bool:
    """Say whether the clock of this replica lies beyond what others would take."""
    return local.clock_of(own).is_ahead(local.now_ms(own), conf.max_clock_drift_ms())


def begin_anew(own: Local) -> None:
    """Start the clock again and repeat what was ahead. Called within a transaction that holds the turn."""
    bound = local.now_ms(own) + conf.max_clock_drift_ms()
    own = incarnation.renew("its clock had run ahead and is right again", own)
    last = Entry.objects.filter(state=Entry.State.APPLIED, ms__lte=bound).order_by("-ms", "-counter").first()
    own.clock_ms, own.clock_counter = (last.ms, last.counter) if last else (0, 0)
    own.save(update_fields=["clock_ms", "clock_counter"])
    ahead = Entry.objects.filter(chain__name=conf.name(), state=Entry.State.APPLIED, ms__gt=bound).exclude(chain__scope=TRUST)
    made = log.changesets(bytes(dot) for dot in ahead.values_list("dot", flat=True))
    rows = sorted(rows_of(made.values()))
    with pending.written_by("clock"):
        for start in range(0, len(rows), ROWS):
            _Repetition(own, bound, made).repeat(rows[start : start + ROWS])


class Head(NamedTuple):
    """A write that is to be repeated: the row, the register, the changeset."""

    row: RowKey
    register: str
    dot: bytes


class _Repetition:
    """Repeats what the changesets ``ahead`` say of some rows."""

    def __init__(self, own: Local, bound: int, ahead: dict[bytes, Changeset]) -> None:
        self.own, self.bound, self.ahead = own, bound, ahead
        self.values, self.batch = Values(ahead.values()), Batch()
        self.clocks = {dot: entry.ms for dot, entry in log.known({ref for c in ahead.values() for ref in c.refs()}).items()}
        self.repeated: dict[tuple[RowKey, bytes], set[bytes]] = {}  # row and former head -> what says it now

    def repeat(self, rows: Sequence[RowKey]) -> None:
        """Write the heads again, and then the deletions, which have seen them. The rows show what they showed before."""
        self.batch.load(rows)
        by_scope: dict[str, dict[RowKey, Slot]] = {}
        for key in rows:
            if key in self.batch.slots:
                by_scope.setdefault(self.batch.slots[key].scope, {})[key] = self.batch.slots[key]
        for scope, slots in sorted(by_scope.items()):
            deletions = {key: sorted(self.ahead.keys() & set(slot.row.unanswered())) for key, slot in slots.items()}
            for _, heads in sorted(self._rounds(slots).items()):
                self._say_again(scope, heads)
            self._delete_again(scope, deletions)
        self.batch.settle()
        self.batch.save()

    def _rounds(self, slots: dict[RowKey, Slot]) -> dict[tuple[bool, int], list[Head]]:
        """Divide the heads: siblings of one register cannot stand in one changeset, nor what a deletion has seen with what none has."""
        rounds: dict[tuple[bool, int], list[Head]] = {}
        for key, slot in slots.items():
            seen = frozenset().union(*slot.row.deletes.values()) if slot.row.deletes else frozenset()
            for name, heads in sorted(slot.row.heads.items()):
                for place, dot in enumerate(dot for dot in heads if dot in self.ahead):
                    rounds.setdefault((dot in seen, place), []).append(Head(key, name, dot))
        return rounds

    def _say_again(self, scope: str, heads: Sequence[Head]) -> None:
        draft = Draft()
        for key, group in groupby(heads, key=lambda head: head.row):
            draft.ops.append(Op(key.model, key.token, [self._write(draft, head) for head in group]))
        made = self._make(scope, draft)
        for head in heads:
            self.repeated.setdefault((head.row, head.dot), set()).add(made.dot)

    def _write(self, draft: Draft, head: Head) -> Write:
        field, slash, element = head.register.partition("/")
        value, latest = self.values.value(*head), head.register in self.batch.slots[head.row].row.latest
        return draft.write(
            field, element if slash else None, value, self._overwritten(head.row, head.register, [head.dot]), latest
        )

    def _delete_again(self, scope: str, deletions: dict[RowKey, list[bytes]]) -> None:
        draft = Draft()
        for key, dots in deletions.items():
            if dots:
                row = self.batch.slots[key].row
                seen = set().union(*(row.deletes[dot] for dot in dots))
                again = set().union(*(self.repeated.get((key, head), ()) for head in seen))
                for name in row.heads:
                    seen |= self._overwritten(key, name, seen)
                # They are named too: so it is seen that they were repeated, and need not be held any more.
                draft.ops.append(Op(key.model, key.token, [], draft.index(sorted(seen | again | set(dots)))))
        if draft.ops:
            self._make(scope, draft)

    def _make(self, scope: str, draft: Draft) -> Changeset:
        made = make(scope, draft, self.own)
        fold(self.batch, made)
        rebuild.show_names(claims.note([made]))
        return made

    def _overwritten(self, key: RowKey, name: str, dots: Iterable[bytes]) -> set[bytes]:
        """Return ``dots``, what the writes ahead among them overwrote, and so on."""
        found, left = set(dots), [dot for dot in dots if self._is_ahead(dot)]
        while left:
            over = set(self.values.over(key, name, left.pop())) - found
            found |= over
            left += [dot for dot in over if self._is_ahead(dot)]
        return found

    def _is_ahead(self, dot: bytes) -> bool:
        if dot not in self.clocks:
            self.clocks.update({entry.dot: entry.ms for entry in log.known([dot]).values()})
        return self.clocks.get(dot, 0) > self.bound

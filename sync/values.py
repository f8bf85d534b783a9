"""The values of writes, by the dot of their changeset: from the batch at hand, or from the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import log
from sync.core.changeset import Changeset, Write
from sync.core.clock import Timestamp
from sync.models import Entry
from sync.registers import RowKey

Order = tuple[Timestamp, str, str, int, bytes]
SEGMENTS = 3  # of the log that are kept in memory as they were read last


class Values:
    """Answers what a write said, and which of several heads is shown. ``prefetch`` reads many from the log at once."""

    def __init__(self, at_hand: Iterable[Changeset] = ()) -> None:
        self._changesets: dict[bytes, Changeset] = {changeset.dot: changeset for changeset in at_hand}
        self._segments: dict[int, list[Changeset]] = {}
        self._orders: dict[bytes, Order] = {}
        self._applied: set[bytes] = set()
        self.absent: set[tuple[bytes, str]] = set()  # dot and digest of each value that was asked for and is not here
        self.asked_in_vain = 0  # how often
        self._written: dict[bytes, dict[tuple[RowKey, str], Write]] = {}

    def prefetch(self, dots: Iterable[bytes]) -> None:
        """Read the changesets ``dots`` that are not at hand."""
        wanted = [dot for dot in dots if dot not in self._changesets]
        if wanted:
            self._changesets.update(log.changesets(wanted, self._segment))

    def _segment(self, number: int) -> list[Changeset]:
        """Return the changesets of a segment. The last few are kept: ancestors, read one by one, mostly stand in the same."""
        if number not in self._segments:
            while len(self._segments) >= SEGMENTS:
                self._segments.pop(next(iter(self._segments)))
            self._segments[number] = log.segment(number)
        return self._segments[number]

    def changeset(self, dot: bytes) -> Changeset | None:
        """Return the changeset; None where it is not held."""
        self.prefetch([dot])
        return self._changesets.get(dot)

    def write(self, row: RowKey, key: str, dot: bytes) -> Write | None:
        """Return what ``dot`` wrote to the register; None where it is not held, or wrote something else."""
        if dot not in self._written:
            changeset = self.changeset(dot)
            if changeset is None:
                return None
            self._written[dot] = {
                (RowKey(op.model, op.token), write.key): write for op in changeset.head.ops for write in op.writes
            }
        return self._written[dot].get((row, key))

    def value(self, row: RowKey, key: str, dot: bytes) -> Any:
        """Return what ``dot`` wrote to the register. Raises KeyError where it did not, or where the value was dropped."""
        write = self.write(row, key, dot)
        if write is None:
            raise KeyError(dot.hex())
        try:
            return self._changesets[dot].value(write)
        except KeyError:
            self.absent.add((dot, write.value["#"]))
            self.asked_in_vain += 1
            raise

    def over(self, row: RowKey, key: str, dot: bytes) -> list[bytes]:
        """Return the dots that the write of ``dot`` to the register overwrote."""
        write = self.write(row, key, dot)
        if write is None:
            return []
        refs = self._changesets[dot].head.refs
        return [bytes.fromhex(refs[index]) for index in write.over]

    def parents(self, row: RowKey, key: str, dot: bytes) -> list[bytes]:
        """Return those of ``over`` that count here and wrote the register: its ancestors by one step."""
        above = self.over(row, key, dot)
        self.prefetch(above)
        self.read_orders(above)
        return [dot for dot in above if dot in self._applied and self.write(row, key, dot) is not None]

    def order(self, dot: bytes) -> Order:
        """Return what decides which of several heads is shown. Raises KeyError for what is not in the log."""
        self.read_orders([dot])
        return self._orders[dot]

    def first_by(self, name: str, row: RowKey, key: str, heads: Iterable[bytes]) -> bytes | None:
        """Return the first write to the register by the replica ``name``, of those that count; None where there is none.

        ``heads`` are those of the register: whatever was written to it is one of them, or was overwritten by one that was.
        """
        wanted, passed = set(heads), set[bytes]()
        while wanted := wanted - passed:
            passed |= wanted
            wanted = {dot for head in wanted for dot in self.parents(row, key, head)}
        mine = [dot for dot in passed if (made := self.changeset(dot)) and made.head.name == name]
        return min(mine, key=self.order, default=None)

    def shown(self, heads: tuple[bytes, ...]) -> bytes:
        """Return the head that every replica shows: the greatest by clock, name, incarnation, sequence, dot."""
        if len(heads) == 1:
            return heads[0]
        self.read_orders(heads)
        return max(heads, key=lambda dot: self._orders[dot])

    def read_orders(self, dots: Iterable[bytes]) -> None:
        """Read from the log where ``dots`` stand in the order of heads, and whether they count."""
        wanted = [dot for dot in dots if dot not in self._orders]
        entries = log.known(wanted) if wanted else {}
        if not entries:
            return
        self._applied.update(dot for dot, entry in entries.items() if entry.state == Entry.State.APPLIED)
        chains = log.chains(entry.chain for entry in entries.values())
        for dot, entry in entries.items():
            chain, _ = chains[entry.chain]
            self._orders[dot] = (entry.stamp, chain.name, chain.incarnation, entry.seq, dot)

"""Registers in the database: loaded for a batch, changed in memory, written back with the digest in the same transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sync import log
from sync.core.register import Row
from sync.core.token import sort_key
from sync.db import sql
from sync.models import Digest, Entry, Register

TABLE, DIGEST = Register._meta.db_table, Digest._meta.db_table
MODULUS = 1 << 256


class RowKey(NamedTuple):
    """A replicated row: label of its model, token."""

    model: str
    token: str

    @property
    def stored(self) -> str:
        """The key under which the registers are kept: the token, time first, then the model."""
        return f"{sort_key(self.token)} {self.model}"


@dataclass(slots=True)
class Slot:
    """The registers of one row in a batch. ``before`` is what the database holds, empty where it holds none.

    ``reason``: why it is not projected, for people, where that was found out in this batch.
    """

    row: Row
    scope: str
    before: bytes = b""
    alive: bool = False
    projected: bool = True
    dirty: bool = False
    changed: set[str] = field(default_factory=set)
    reason: str = ""


class Batch:
    """The registers that one transaction touches."""

    def __init__(self) -> None:
        self.slots: dict[RowKey, Slot] = {}
        self._stored: dict[RowKey, str] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._sums: dict[str, int] = {}
        self._no, self._yes = sql.booleans()

    def load(self, keys: Iterable[RowKey]) -> None:
        """Read the registers of ``keys``, those that are not here yet, in few statements."""
        wanted = {self._key(key): key for key in keys if key not in self.slots}
        columns = ("key", "state", "scope", "alive", "projected")
        for stored, state, scope, alive, projected in sql.select_in(TABLE, columns, "key", list(wanted)):
            raw = bytes(state)
            self.slots[wanted[stored]] = Slot(Row.decode(raw), scope, raw, bool(alive), bool(projected))

    def _key(self, key: RowKey) -> str:
        if key not in self._stored:
            self._stored[key] = key.stored
        return self._stored[key]

    def add(self, key: RowKey, scope: str, state: bytes) -> None:
        """Have ``save`` write the registers of a row that nobody has written before, and that is shown."""
        no, yes = self._no, self._yes
        self._rows.append((self._key(key), key.model, key.token, scope, state, yes, no, no, yes))
        self._sums[scope] = self._sums.get(scope, 0) + term(key, state)

    def slot(self, key: RowKey, scope: str) -> Slot:
        """Return the registers of ``key``; empty ones where nobody has written it. Call ``load`` before."""
        if key not in self.slots:
            self.slots[key] = Slot(Row(), scope)
        return self.slots[key]

    def settle(self) -> None:
        """Forget in ``gone`` what the log has applied already: it will not come again."""
        waiting = set().union(*(slot.row.waiting() for slot in self.slots.values() if slot.dirty))
        if not waiting:
            return
        here = {dot for dot, entry in log.known(waiting).items() if entry.state == Entry.State.APPLIED}
        written = {
            (op.model, op.token, write.key, dot)
            for dot, changeset in log.changesets(here).items()
            for op in changeset.head.ops
            for write in op.writes
        }
        for key, slot in self.slots.items():
            if slot.dirty and here:
                slot.row.forget(lambda name, dot, key=key: (*key, name, dot) in written)  # type: ignore[misc]

    def save(self) -> None:
        """Write back what changed, and the digests of the scopes."""
        sums, rows = dict(self._sums), list(self._rows)
        for key, slot in self.slots.items():
            if not slot.dirty:
                continue
            state = slot.row.encode()
            delta = term(key, state) - (term(key, slot.before) if slot.before else 0)
            sums[slot.scope] = sums.get(slot.scope, 0) + delta
            siblings = any(True for _ in slot.row.siblings())
            undecided = slot.alive and bool(slot.row.unanswered())
            rows.append(
                (self._key(key), key.model, key.token, slot.scope, state, slot.alive, siblings, undecided, slot.projected)
            )
        sql.upsert(TABLE, "key", ("model", "token", "scope", "state", "alive", "siblings", "undecided", "projected"), rows)
        add_to_digests(sums)


def term(key: RowKey, state: bytes) -> int:
    """Return what one row adds to the digest of its scope."""
    return int.from_bytes(hashlib.sha256(f"{key.model}|{key.token}|".encode() + state).digest(), "big")


def add_to_digests(sums: dict[str, int]) -> None:
    """Add to the digest of each scope."""
    changed = [scope for scope, delta in sums.items() if delta % MODULUS]
    held = {scope: int.from_bytes(value, "big") for scope, value in sql.select_in(DIGEST, ("scope", "value"), "scope", changed)}
    rows = [(scope, ((held.get(scope, 0) + sums[scope]) % MODULUS).to_bytes(32, "big")) for scope in changed]
    sql.upsert(DIGEST, "scope", ("value",), rows)


def recount() -> None:
    """Make the digests anew from the registers as they stand. Called within a transaction."""
    sums: dict[str, int] = {}
    rows = Register.objects.values_list("model", "token", "scope", "state").iterator(500)
    for model, token, scope, state in rows:
        sums[scope] = sums.get(scope, 0) + term(RowKey(model, token), bytes(state))
    Digest.objects.all().delete()
    add_to_digests(sums)


def digests() -> dict[str, int]:
    """Return the digest of each scope."""
    return {scope: int.from_bytes(bytes(value), "big") for scope, value in Digest.objects.values_list("scope", "value")}


def digest() -> str:
    """Return one digest over all scopes, 64 hex digits: equal exactly where two replicas hold equal content."""
    return f"{sum(digests().values()) % MODULUS:064x}"

"""What follows from the log: registers, claims and living rows, derived anew in bounded memory.

One pass over the log sorts its ops by row into a scratch database, which SQLite keeps in a file of its own and drops when it
is closed; the tables of the replica are not asked. Values stay in the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from sync import claims, log
from sync.core.changeset import Changeset, Op, Write
from sync.core.policy import TRUST
from sync.core.register import Row
from sync.fold import fold_op
from sync.project import depth
from sync.registers import RowKey, Slot
from sync.registry import spec_of

PAGE = 200  # rows in memory, with the values that they show
TABLES = """
PRAGMA journal_mode=OFF;
PRAGMA cache_size=-65536;
CREATE TABLE op (rank INTEGER, key TEXT, position INTEGER, number INTEGER, scope TEXT, dot BLOB, body BLOB,
    PRIMARY KEY (rank, key, position, number)) WITHOUT ROWID;
CREATE TABLE claim (model TEXT, value TEXT, token TEXT, dot BLOB, PRIMARY KEY (dot, model, token, value)) WITHOUT ROWID;
CREATE TABLE row (model TEXT, token TEXT, alive INTEGER, PRIMARY KEY (model, token)) WITHOUT ROWID;
CREATE TABLE whole (model TEXT, token TEXT, PRIMARY KEY (model, token)) WITHOUT ROWID;
"""
UNKNOWN = 1  # the rank of models that are not known here: after all others


class Derived:
    """The scratch database, filled from the changesets that count. Use it as a context manager."""

    def __init__(self) -> None:
        self.db = sqlite3.connect("")
        self.db.executescript(TABLES)

    def __enter__(self) -> Derived:
        for entry, changeset in log.scan():
            if changeset.head.scope != TRUST:
                self._take(entry.position, changeset)
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def _take(self, position: int, changeset: Changeset) -> None:
        refs, scope, dot = changeset.refs(), changeset.head.scope, changeset.dot
        ops = [
            (_rank(op.model), RowKey(op.model, op.token).stored, position, number, scope, dot, _lean(op, refs))
            for number, op in enumerate(changeset.head.ops)
        ]
        self.db.executemany("INSERT INTO op VALUES (?, ?, ?, ?, ?, ?, ?)", ops)
        made = [(model, claim.value, claim.token, dot) for model, claim in claims.made_by(changeset)]
        self.db.executemany("INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?)", made)

    def pages(self) -> Iterator[list[tuple[RowKey, Slot, set[str]]]]:
        """Yield every row that a changeset has touched, parts before wholes: its name, its registers, the scopes it was written in."""
        ops = self.db.execute("SELECT rank, key, scope, dot, body FROM op ORDER BY rank, key, position, number")
        page: list[tuple[RowKey, Slot, set[str]]] = []
        for _, group in groupby(ops, key=lambda op: op[:2]):
            page.append(_derive([op[2:] for op in group]))
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def note(self, key: RowKey, is_alive: bool, whole: RowKey | None = None) -> None:
        """Keep whether a row is alive, and the row that it keeps alive by being a part of it."""
        self.db.execute("INSERT INTO row VALUES (?, ?, ?)", (*key, is_alive))
        if is_alive and whole is not None:
            self.db.execute("INSERT OR IGNORE INTO whole VALUES (?, ?)", whole)

    def has_parts(self, key: RowKey) -> bool:
        """Say whether a living row is part of the row ``key``."""
        return self._has("SELECT 1 FROM whole WHERE model = ? AND token = ?", key)

    def is_written(self, key: RowKey) -> bool:
        """Say whether any changeset has touched the row ``key``."""
        return self._has("SELECT 1 FROM row WHERE model = ? AND token = ?", key)

    def is_alive(self, key: RowKey) -> bool:
        """Say whether the row ``key`` is to be shown."""
        return self._has("SELECT 1 FROM row WHERE model = ? AND token = ? AND alive", key)

    def has_claim(self, claim: tuple[str, str, str], dot: bytes) -> bool:
        """Say whether the changeset ``dot`` made ``claim`` (model, value, token); each is asked for once."""
        found = self.db.execute("DELETE FROM claim WHERE model = ? AND value = ? AND token = ? AND dot = ?", (*claim, dot))
        return found.rowcount > 0

    def claims_left(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Yield the claims that nobody asked for."""
        yield from self.db.execute("SELECT model, value, token, dot FROM claim ORDER BY model, token, value")

    def _has(self, statement: str, values: Iterable[Any]) -> bool:
        return self.db.execute(statement, tuple(values)).fetchone() is not None


def _rank(label: str) -> int:
    model = spec_of(label)
    return UNKNOWN if model is None else -depth(model)


def _lean(op: Op, refs: Sequence[bytes]) -> bytes:
    """Return an op without its values, with just the references that it needs."""
    used = sorted({index for write in op.writes for index in write.over} | set(op.seen or ()))
    place = {index: number for number, index in enumerate(used)}
    writes = [Write(w.field, w.element, None, [place[index] for index in w.over], w.latest) for w in op.writes]
    seen = None if op.seen is None else [place[index] for index in op.seen]
    return _encoder.encode((Op(op.model, op.token, writes, seen), [refs[index] for index in used]))


def _derive(ops: Sequence[tuple[str, bytes, bytes]]) -> tuple[RowKey, Slot, set[str]]:
    row, written = Row(), set[tuple[str, bytes]]()
    for _, dot, body in ops:
        op, refs = _decoder.decode(body)
        fold_op(row, dot, refs, op)
        written.update((write.key, dot) for write in op.writes)
    row.forget(lambda key, dot: (key, dot) in written)
    return RowKey(op.model, op.token), Slot(row, ops[0][0]), {scope for scope, _, _ in ops}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Op, list[bytes]])

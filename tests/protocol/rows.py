"""From changesets that count to rows and to the digest, by the register rules of docs/sync-protocol.md."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.protocol.changesets import Changeset

Key = tuple[str, str | None]
PARTS = {"content.page": ("content.block", "parent_id")}  # whole -> part, and the field that names the whole


class Row:
    """The registers of one row: writes by register, deletions."""

    def __init__(self) -> None:
        self.writes: dict[Key, dict[str, tuple[Changeset, Any]]] = defaultdict(dict)
        self.gone: dict[Key, set[str]] = defaultdict(set)
        self.latest: set[Key] = set()
        self.deletes: dict[str, set[str]] = {}

    def heads(self, key: Key) -> set[str]:
        """Return the dots of the writes to ``key`` that nobody has overwritten."""
        return self.writes[key].keys() - self.gone[key]

    def siblings(self, key: Key) -> list[Any]:
        """Return the values of all heads of ``key``, the one that is shown first."""
        found = sorted((self.writes[key][dot] for dot in self.heads(key)), key=lambda item: item[0].order, reverse=True)
        return [changeset.said(value) for changeset, value in found]

    def field(self, name: str) -> Any:
        """Return what is shown of a field without elements; None where nobody has written it."""
        values = self.siblings((name, None))
        return values[0] if values else None

    def elements(self, name: str) -> list[str]:
        """Return the elements of a set."""
        keys = [key for key in self.writes if key[0] == name]
        return sorted(str(element) for _, element in keys if any(self.siblings((name, element))))

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a map."""
        shown = {str(key[1]): self.siblings(key)[:1] for key in self.writes if key[0] == name}
        return {key: values[0] for key, values in shown.items() if values and values[0] is not None}

    def own(self) -> bool:
        """Say whether a head that counts was not seen by any deletion."""
        seen = set().union(*self.deletes.values()) if self.deletes else set()
        return any(self.heads(key) - seen for key in self.writes if key not in self.latest)


Rows = dict[tuple[str, str], Row]


def rows(changesets: Iterable[Changeset]) -> Rows:
    """Return all rows, alive or not, by (model, token)."""
    found: Rows = defaultdict(Row)
    for changeset in changesets:
        for model, token, writes, *seen in changeset.head["ops"]:
            row = found[model, token]
            for field, element, value, over, *latest in writes:
                row.writes[field, element][changeset.dot] = (changeset, value)
                row.gone[field, element] |= changeset.refs(over)
                if latest == [True]:
                    row.latest.add((field, element))
            if seen and seen[0] is not None:
                row.deletes[changeset.dot] = changeset.refs(seen[0])
    return dict(found)


def alive(found: Rows, model: str) -> dict[str, Row]:
    """Return the rows of ``model`` that are alive, by token."""
    mine = {token: row for (label, token), row in found.items() if label == model}
    part, field = PARTS.get(model, ("", ""))
    wholes = {row.field(field) for row in alive(found, part).values()} if part else set()
    return {token: row for token, row in mine.items() if row.own() or (row.deletes and token in wholes)}


def digest(changesets: list[Changeset]) -> str:
    """Return the digest of content."""
    total = 0
    for (model, token), row in rows(changesets).items():
        state = msgspec.msgpack.encode(_state(row))
        total += int.from_bytes(hashlib.sha256(f"{model}|{token}|".encode() + state).digest(), "big")
    return f"{total % (1 << 256):064x}"


def term(model: str, token: str, row: Row, content: Any) -> str:
    """Return what a row adds to the sums of a comparison: 64 hex digits. ``content``: the values of the compared fields, or None."""
    state, text = msgspec.msgpack.encode(_state(row)), json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{model}|{token}|".encode() + state + b"|" + text.encode()).hexdigest()


def _state(row: Row) -> list[Any]:
    names = {key: key[0] if key[1] is None else f"{key[0]}/{key[1]}" for key in row.writes}
    groups: dict[tuple[bytes, ...], list[str]] = defaultdict(list)
    for key in sorted(names, key=lambda key: names[key]):
        groups[tuple(_dots(row.heads(key)))].append(names[key])
    gone = {names[key]: _dots(row.gone[key] - row.writes[key].keys()) for key in names}
    return [
        [[list(heads), keys] for heads, keys in groups.items()],
        sorted(names[key] for key in row.latest),
        sorted([name, dots] for name, dots in gone.items() if dots),
        sorted([bytes.fromhex(dot), _dots(seen)] for dot, seen in row.deletes.items()),
    ]


def _dots(dots: Iterable[str]) -> list[bytes]:
    return sorted(bytes.fromhex(dot) for dot in dots)

"""Sums over ranges of rows, by which two replicas find the rows in which they differ in a few round trips.

Rows are taken in the order of their keys: the token, time first, then the model. What a row adds to a sum is a hash over its
registers and over what its model's table shows, so that a row altered behind the back of the program is found as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sync.core.errors import MalformedError
from sync.core.policy import Party, is_entitled
from sync.core.register import Row
from sync.db import sql
from sync.models import Register
from sync.registers import MODULUS, TABLE, RowKey, digests
from sync.registry import ModelSpec, all_specs, spec_of
from sync.verify import json_of, rows_shown

PAGE = 500  # rows read at once
BUDGET = 50_000  # rows read for one request
FEW = 32  # rows that are named one by one
CUTS = 16  # parts into which a range is cut
MAX_RANGES, MAX_ROWS = 64, 200  # of one request
MAX_KEY = 200  # characters
NOTHING = Row().encode()  # the state of a row that nobody has written

Fields = Mapping[str, Sequence[str]]  # label of a model -> the fields that both sides know


class Range(NamedTuple):
    """Keys from ``start`` up to ``end``, which is not in it; None: to the last."""

    start: str
    end: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One row as it stands here: its registers, what its table shows (None: nothing), and whether that is meant to be shown."""

    key: RowKey
    state: bytes
    projected: bool
    row: dict[str, Any] | None

    def term(self) -> int:
        """Return what this row adds to a sum."""
        content = None if self.row is None else [self.row[name] for name in sorted(self.row)]
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=repr)
        whole = f"{self.key.model}|{self.key.token}|".encode() + self.state + b"|" + text.encode()
        return int.from_bytes(hashlib.sha256(whole).digest(), "big")


def own_fields() -> dict[str, list[str]]:
    """Return the fields of every model that is known here."""
    return {model.label: sorted(model.names) for model in all_specs()}


def fields_of_both(theirs: Any) -> dict[str, list[str]]:
    """Return the fields that are known here and there. Raises MalformedError."""
    if not isinstance(theirs, dict) or not all(isinstance(names, list) for names in theirs.values()):
        raise MalformedError("models is an object: label of a model -> list of its fields")
    mine = own_fields()
    return {label: [name for name in names if name in theirs[label]] for label, names in mine.items() if label in theirs}


def rows_in(where: Range, me: Party, peer: Party, fields: Fields) -> Iterator[Seen]:
    """Yield the rows in a range that both sides may hold, in the order of their keys."""
    scopes = {scope for scope in digests() if is_entitled(me, scope) and is_entitled(peer, scope)}
    query = Register.objects.filter(scope__in=scopes).order_by("key")
    if where.end is not None:
        query = query.filter(key__lt=where.end)
    page = list(query.filter(key__gte=where.start).values_list("key", "model", "token", "state", "projected")[:PAGE])
    while page:
        yield from _seen(page, fields)
        page = list(query.filter(key__gt=page[-1][0]).values_list("key", "model", "token", "state", "projected")[:PAGE])


def rows_named(keys: Sequence[RowKey], me: Party, peer: Party, fields: Fields) -> dict[RowKey, Seen]:
    """Return those of ``keys`` that are here and that both sides may hold."""
    query = Register.objects.filter(key__in=[key.stored for key in keys])
    rows = list(query.values_list("key", "model", "token", "state", "projected", "scope"))
    allowed = [row[:5] for row in rows if is_entitled(me, row[5]) and is_entitled(peer, row[5])]
    known = {row[0] for row in rows}
    stray = [key for key in keys if key.stored not in known and key.model in fields and _is_for_all(key.model)]
    there = {key: Seen(key, NOTHING, True, _row(key, row, fields)) for key, row in rows_shown(stray).items()}
    return {**{seen.key: seen for seen in _seen(allowed, fields)}, **there}


def strays(fields: Fields) -> list[RowKey]:
    """Return up to ``MAX_ROWS`` rows that stand in a table and that nobody has ever written: they have no registers, so no key.

    Only of models whose rows belong to everybody: whose another one would be, nobody can tell. Reads the keys of all rows once.
    """
    found: list[RowKey] = []
    for model in all_specs():
        if model.label in fields and model.is_for_all:
            found += islice(_strays_of(model), MAX_ROWS - len(found))
    return found


def _strays_of(model: ModelSpec) -> Iterator[RowKey]:
    tokens, last = model.model._base_manager.order_by("pk").values_list("pk", flat=True), ""
    while page := [RowKey(model.label, token) for token in tokens.filter(pk__gt=last)[:PAGE]]:
        known = {key for (key,) in sql.select_in(TABLE, ["key"], "key", [key.stored for key in page])}
        yield from (key for key in page if key.stored not in known)
        last = page[-1].token


def _is_for_all(label: str) -> bool:
    model = spec_of(label)
    return model is not None and model.is_for_all


def _seen(rows: Iterable[tuple[Any, ...]], fields: Fields) -> Iterator[Seen]:
    found = [(RowKey(model, token), bytes(state), bool(projected)) for _, model, token, state, projected in rows]
    shown = rows_shown(key for key, _, _ in found if key.model in fields)
    for key, state, projected in found:
        yield Seen(key, state, projected, _row(key, shown.get(key), fields))


def _row(key: RowKey, values: dict[str, Any] | None, fields: Fields) -> dict[str, Any] | None:
    model = spec_of(key.model)
    if values is None or model is None:
        return None
    return {name: json_of(model, name, values[name]) for name in fields[key.model]}


def total(rows: Iterable[Seen]) -> str:
    """Return the sum of ``rows``, modulo 2^256, as 64 hex digits."""
    return f"{sum(row.term() for row in rows) % MODULUS:064x}"


def answer(asked: Sequence[tuple[Range, str]], me: Party, peer: Party, fields: Fields) -> list[dict[str, Any] | None]:
    """Return for each range with the peer's sum: None where the sum here is the same; else what leads on.

    ``terms``: the rows one by one where they are few (model, token, term); ``cuts``: where to cut the range. An empty list of
    cuts means that enough was read for one request: ask again.
    """
    left, found = BUDGET, list[dict[str, Any] | None]()
    for where, theirs in asked:
        terms = [(row.key, row.term()) for row in islice(rows_in(where, me, peer, fields), left)]
        left -= len(terms)
        found.append(_one(terms, theirs) if left else {"cuts": cuts(terms)})
    return found


def _one(terms: list[tuple[RowKey, int]], theirs: str) -> dict[str, Any] | None:
    if f"{sum(term for _, term in terms) % MODULUS:064x}" == theirs:
        return None
    if len(terms) <= FEW:
        return {"terms": [[*key, f"{term:064x}"] for key, term in terms]}
    return {"cuts": cuts(terms)}


def cuts(terms: Sequence[tuple[RowKey, int]]) -> list[str]:
    """Return keys that cut these rows into about equal parts."""
    step = max(1, len(terms) // CUTS)
    return [key.stored for key, _ in terms[step::step]]


# From and to JSON


def asked(value: Any) -> list[tuple[Range, str]]:
    """Return the ranges of a request with the sums of the sender. Raises MalformedError."""
    if not isinstance(value, list) or len(value) > MAX_RANGES:
        raise MalformedError(f"ranges is a list of up to {MAX_RANGES} lists: from, to or null, sum")
    try:
        return [(Range(_text(start), None if end is None else _text(end)), _text(mine)) for start, end, mine in value]
    except (TypeError, ValueError) as error:
        raise MalformedError(f"a range is a list: from, to or null, sum: {error}") from None


def names(value: Any) -> list[RowKey]:
    """Return the rows that a request names. Raises MalformedError."""
    if not isinstance(value, list) or len(value) > MAX_ROWS:
        raise MalformedError(f"rows is a list of up to {MAX_ROWS} lists: model, token")
    try:
        return [RowKey(_text(model), _text(token)) for model, token in value]
    except (TypeError, ValueError) as error:
        raise MalformedError(f"a row is a list: model, token: {error}") from None


def named(keys: Sequence[RowKey], me: Party, peer: Party, fields: Fields) -> list[dict[str, Any] | None]:
    """Return rows as the answer to a request has them; None for each that is not here."""
    found = rows_named(keys, me, peer, fields)
    return [_as_json(found[key]) if key in found else None for key in keys]


def strays_as_json(fields: Fields) -> list[list[str]]:
    """Return ``strays`` as lists of model and token."""
    return [list(key) for key in strays(fields)]


def _as_json(seen: Seen) -> dict[str, Any]:
    return {"state": base64.b64encode(seen.state).decode(), "projected": seen.projected, "row": seen.row}


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_KEY or "\x00" in value:
        raise TypeError(f"{value!r} is no short text")
    return value

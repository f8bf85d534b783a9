"""Comparing what stands in the tables with what follows from the log: rows, registers, digest and claims. Changes nothing.

Whatever came by the ORM or from a peer is right by itself; what is found here was done by raw SQL, a damaged disk, or a mistake
in this program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection, transaction

from sync import claims
from sync.core.register import Row
from sync.db import sql
from sync.derived import Derived
from sync.models import Claim, Register
from sync.project import is_own, values_shown
from sync.registers import MODULUS, TABLE, RowKey, Slot, digests, term
from sync.registry import ModelSpec, all_specs, spec_of
from sync.values import Values

PAGE = 500  # rows
UNREADABLE = (ValueError, TypeError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be: ``here`` as it stands in this replica's tables, ``there`` as the log has it.

    ``what``: ``row``, ``registers``, ``claim`` or ``digest``. ``field`` is None where the row as a whole is meant: it is absent
    on one side (None), or the difference belongs to no field. A digest has its scope as ``token``.
    """

    what: str
    model: str
    token: str
    field: str | None
    here: Any
    there: Any

    def as_json(self) -> dict[str, Any]:
        """Return this for ``--json``."""
        return asdict(self)


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything within as it is at one moment, without keeping writers from writing."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")  # atomic() would take the write lock
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


def verify() -> Iterator[Difference]:
    """Yield every difference between the tables and the log. Reads the log once; memory does not grow with it."""
    with snapshot(), Derived() as derived:
        yield from _Verification(derived).run()


class _Verification:
    """One comparison. ``sums`` are the digests as they are to be."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.sums: dict[str, int] = {}

    def run(self) -> Iterator[Difference]:
        for page in self.derived.pages():
            yield from self._page(page)
        yield from self._unwritten_registers()
        for model in all_specs():
            yield from self._unwritten_rows(model)
        yield from self._claims()
        yield from self._digests()

    # Rows that the log knows

    def _page(self, page: Sequence[tuple[RowKey, Slot, set[str]]]) -> Iterator[Difference]:
        values = Values()
        values.prefetch({dot for _, slot, _ in page for heads in slot.row.heads.values() for dot in heads})
        columns = ("key", "scope", "state", "alive", "siblings", "undecided", "projected")
        keys = [key.stored for key, _, _ in page]
        stored = {row[0]: row[1:] for row in sql.select_in(TABLE, columns, "key", keys)}
        page = [(key, slot, scopes) for key, slot, scopes in page if slot.row.heads or slot.row.deletes]
        shown = rows_shown(key for key, _, _ in page)
        wanted = _wanted({key: slot for key, slot, _ in page}, values)
        for key, slot, scopes in page:
            held = stored.get(key.stored)
            yield from self._registers(key, slot, scopes, held)
            is_alive = self._is_alive(key, slot)
            if held is not None and bool(held[2]) != is_alive:
                yield Difference("registers", *key, None, {"alive": bool(held[2])}, {"alive": is_alive})
            is_deferred = held is not None and not held[5]
            yield from self._row(key, slot, shown.get(key), wanted.get(key) if is_alive else None, is_alive, is_deferred)
            self.sums[slot.scope] = self.sums.get(slot.scope, 0) + term(key, slot.row.encode())

    def _registers(self, key: RowKey, slot: Slot, scopes: set[str], held: Any) -> Iterator[Difference]:
        if held is None:
            yield Difference("registers", *key, None, None, _heads(slot.row))
            return
        scope, state, alive, siblings, undecided, _ = held
        if scope in scopes:
            slot.scope = scope  # of a row that was written in two, the one that came first here
        else:
            yield Difference("registers", *key, None, {"scope": scope}, {"scope": sorted(scopes)})
        if bytes(state) != slot.row.encode():
            yield from _state_differences(key, bytes(state), slot.row)
        if bool(siblings) != any(True for _ in slot.row.siblings()):
            yield Difference("registers", *key, None, {"siblings": bool(siblings)}, {"siblings": not siblings})
        if bool(undecided) != (bool(alive) and bool(slot.row.unanswered())):
            yield Difference("registers", *key, None, {"undecided": bool(undecided)}, {"undecided": not undecided})

    def _is_alive(self, key: RowKey, slot: Slot) -> bool:
        return is_own(spec_of(key.model), slot.row) or bool(slot.row.deletes and self.derived.has_parts(key))

    def _row(self, key: RowKey, slot: Slot, shown: Any, wanted: Any, is_alive: bool, is_deferred: bool) -> Iterator[Difference]:
        model = spec_of(key.model)
        if model is None:
            self.derived.note(key, is_alive)
            return
        whole = RowKey(model.whole.label, str(wanted[str(model.composition)])) if model.whole and wanted else None
        self.derived.note(key, is_alive, whole)
        if not is_alive and shown is not None:
            yield Difference("row", *key, None, _as_json(model, shown), None)
        if wanted is not None and not (is_deferred and _is_known(model, slot)):
            yield from _row_differences(model, key, shown, wanted)

    # What the log does not know

    def _unwritten_registers(self) -> Iterator[Difference]:
        last = ""
        while page := list(Register.objects.filter(key__gt=last).order_by("key").values_list("key", "model", "token")[:PAGE]):
            for stored, *names in page:
                key = RowKey(*names)
                if stored != key.stored or not self.derived.is_written(key):
                    yield Difference("registers", *key, None, {"key": stored}, None)
            last = page[-1][0]

    def _unwritten_rows(self, model: ModelSpec) -> Iterator[Difference]:
        last = ""
        rows = model.model._base_manager.order_by("pk").values_list("pk", flat=True)
        while tokens := list(rows.filter(pk__gt=last)[:PAGE]):
            unknown = [key for token in tokens if not self.derived.is_written(key := RowKey(model.label, token))]
            found = rows_shown(unknown)
            yield from (Difference("row", *key, None, _as_json(model, found[key]), None) for key in unknown)
            last = tokens[-1]

    def _claims(self) -> Iterator[Difference]:
        names = ("model", "value", "token")
        for *claim, dot in Claim.objects.values_list(*names, "dot").iterator(PAGE):
            model, value, token = claim
            if not self.derived.has_claim((model, value, token), bytes(dot)):
                yield Difference("claim", model, token, None, {"value": value, "write": bytes(dot).hex()}, None)
        for model, value, token, dot in self.derived.claims_left():
            yield Difference("claim", model, token, None, None, {"value": value, "write": bytes(dot).hex()})

        for model, claim, name, right in claims.misnamed():
            yield Difference("claim", model, claim.token, None, {"value": claim.value, "name": name}, {"name": right})

    def _digests(self) -> Iterator[Difference]:
        held = digests()
        for scope in sorted(held.keys() | self.sums.keys()):
            here, there = held.get(scope, 0), self.sums.get(scope, 0) % MODULUS
            if here != there:
                yield Difference("digest", "", scope, None, f"{here:064x}", f"{there:064x}")


def _wanted(slots: dict[RowKey, Slot], values: Values) -> dict[RowKey, dict[str, Any] | None]:
    found: dict[RowKey, dict[str, Any] | None] = {}
    for label in {key.model for key in slots}:
        model = spec_of(label)
        if model is not None:
            found.update(values_shown(model, {key: slot for key, slot in slots.items() if key.model == label}, values))
    return found


def rows_shown(keys: Any) -> dict[RowKey, dict[str, Any]]:
    """Return the rows ``keys`` as they stand in the tables of models, each a value for each field."""
    by_model: dict[str, list[str]] = {}
    for key in keys:
        by_model.setdefault(key.model, []).append(key.token)
    found: dict[RowKey, dict[str, Any]] = {}
    for label, tokens in by_model.items():
        model = spec_of(label)
        for token, values in _read(model, tokens) if model else ():
            found[RowKey(label, token)] = values
    return found


def _read(model: ModelSpec, tokens: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read rows; where one cannot even be read, alone, and the columns that make no sense as they stand in the database."""
    rows = model.model._base_manager.filter(pk__in=tokens)
    try:
        yield from ((row.pop("token"), row) for row in list(model.read(rows)))
    except UNREADABLE:
        if len(tokens) > 1:
            for token in tokens:
                yield from _read(model, [token])
            return
        yield tokens[0], {name: _read_field(model, tokens[0], name) for name in model.names}


def _read_field(model: ModelSpec, token: str, name: str) -> Any:
    try:
        return model.model._base_manager.filter(pk=token).values_list(model.fields[name].attname, flat=True).get()
    except UNREADABLE:
        quote = connection.ops.quote_name
        column = quote(str(model.fields[name].field.column))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT CAST({column} AS TEXT) FROM {quote(model.table)} WHERE token = %s", [token])  # noqa: S608
            return f"unreadable: {cursor.fetchone()[0]!r}"


def _row_differences(model: ModelSpec, key: RowKey, here: Any, there: dict[str, Any]) -> Iterator[Difference]:
    if here is None:
        yield Difference("row", *key, None, None, _as_json(model, there))
        return
    for name in model.names:
        if _plain(here[name]) != _plain(there[name]):
            yield Difference("row", *key, name, json_of(model, name, here[name]), json_of(model, name, there[name]))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _is_known(model: ModelSpec, slot: Slot) -> bool:
    return not model.unknown(slot.row.heads)


def _as_json(model: ModelSpec, values: dict[str, Any]) -> dict[str, Any]:
    return {name: json_of(model, name, value) for name, value in values.items()}


def json_of(model: ModelSpec, name: str, value: Any) -> Any:
    """Return the value of a field as JSON; text for what a raw statement has left there that is none."""
    try:
        return model.fields[name].to_json(value)
    except UNREADABLE:
        return value if isinstance(value, str) else repr(value)


def _state_differences(key: RowKey, stored: bytes, right: Row) -> Iterator[Difference]:
    try:
        wrong = Row.decode(stored)
    except (ValueError, TypeError):
        yield Difference("registers", *key, None, stored.hex(), _heads(right))
        return
    here, there = _heads(wrong), _heads(right)
    names = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    yield from (Difference("registers", *key, name, here.get(name), there.get(name)) for name in names)
    if not names:
        yield Difference("registers", *key, None, stored.hex(), right.encode().hex())


def _heads(row: Row) -> dict[str, list[str]]:
    return {key: [dot.hex() for dot in heads] for key, heads in row.heads.items()}

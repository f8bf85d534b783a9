"""Projection: model rows show what the registers say. Registers are the state; rows follow from them and can be made anew.

A row that cannot be shown here (unknown model, a value too long, one that was dropped) is marked and tried again after an
upgrade; it blocks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction

from sync import claims, merging, missing, signals
from sync.columns import fitting, insert
from sync.core.register import Row
from sync.core.token import maker_of
from sync.db import sql
from sync.registers import Batch, RowKey, Slot
from sync.registry import FieldSpec, ModelSpec, spec_of
from sync.values import Values

Column = tuple[str, Any]
MANY = 100  # heads of a register, of which no more than the one that is shown are read at once
TOO_COMPLEX = "54"  # the class of PostgreSQL's errors for a row that is beyond its limits


def is_of_the_machine(error: Exception) -> bool:
    """Say whether ``error`` is nobody's fault here: a full disk, a lost connection, a lock. Trying again later may help."""
    if isinstance(error, OperationalError):
        return not str(getattr(error.__cause__, "sqlstate", "") or "").startswith(TOO_COMPLEX)
    return isinstance(error, InterfaceError | OSError)


def project_each(batch: Batch, values: Values) -> None:
    """Make the rows show the registers of ``batch``, one by one: a row whose projection raises is marked, and stops no other."""
    for key, slot in [(key, slot) for key, slot in batch.slots.items() if slot.dirty]:
        single, was_alive = Batch(), slot.alive
        single.slots[key] = slot
        try:
            with transaction.atomic():
                project(single, values)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            slot.alive, slot.projected, slot.reason = was_alive, False, _said_of(error)
            continue
        for other, whole in single.slots.items():
            batch.slots.setdefault(other, whole)


def _said_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def why_not_shown(model: str, state: bytes) -> str:
    """Return the code of the reason why a row that is not projected is not, by its registers."""
    known = spec_of(model)
    if known is None:
        return f"unknown_model {model}"
    unknown = known.unknown(Row.decode(state).heads)
    return f"unknown_field {model} {min(unknown)}" if unknown else f"not_shown {model}"


def project(batch: Batch, values: Values, left: Iterable[RowKey] = (), shown: Iterable[RowKey] = ()) -> None:
    """Make the rows show the registers of ``batch``, parts before wholes.

    ``left``: wholes that parts have left already, by a statement of this transaction, or have come to; they live or die with their
    parts. ``shown``: rows that are told of as well, because they were projected already.
    """
    groups: dict[str, dict[RowKey, Slot]] = {}
    for key, slot in [*((k, s) for k, s in batch.slots.items() if s.dirty), *hanging(batch, left).items()]:
        groups.setdefault(key.model, {})[key] = slot
    told = set(shown)
    while groups:
        label = max(groups, key=lambda each: depth(spec_of(each)))
        slots, model = groups.pop(label), spec_of(label)
        told |= slots.keys()
        if model is None:
            _mark_unknown(slots)
            continue
        for key, slot in _Projector(model, batch, values).run(slots).items():
            groups.setdefault(key.model, {})[key] = slot
    missing.note_unshown(batch, values)
    signals.projected.send(sender=None, rows=told)


def hanging(batch: Batch, wholes: Iterable[RowKey]) -> dict[RowKey, Slot]:
    """Return those of ``wholes`` that were deleted and have no write of their own: they live or die with their parts."""
    keys = list(wholes)
    batch.load(keys)
    found = {key: batch.slots[key] for key in keys if key in batch.slots}
    waiting = {key: slot for key, slot in found.items() if slot.row.deletes and not slot.row.own}
    for slot in waiting.values():
        slot.dirty = True
    return waiting


def values_shown(model: ModelSpec, slots: dict[RowKey, Slot], values: Values) -> dict[RowKey, dict[str, Any] | None]:
    """Return what instances are to have in each field; None for a row that this release cannot show. Writes nothing."""
    projector = _Projector(model, Batch(), values)
    projector.prefetch(slots)
    projector.read_names(slots)
    return {key: projector.all_shown(key, slot) for key, slot in slots.items()}


def is_own(model: ModelSpec | None, row: Row) -> bool:
    """Say whether a row lives by a write of its own. One that is immutable is not deleted either."""
    return row.own or (model is not None and model.immutable and any(row.heads.values()))


def depth(model: ModelSpec | None) -> int:
    """Return how many wholes stand above a row of ``model``."""
    return 0 if model is None or model.whole is None else 1 + depth(model.whole)


def _mark_unknown(slots: dict[RowKey, Slot]) -> None:
    for slot in slots.values():
        slot.alive, slot.projected, slot.reason = slot.row.own, False, "unknown model"


class _Projector:
    """Projects rows of one model."""

    def __init__(self, model: ModelSpec, batch: Batch, values: Values) -> None:
        self.model, self.batch, self.values = model, batch, values
        self.displaced: dict[tuple[str, str, str], str] = {}

    def run(self, slots: dict[RowKey, Slot]) -> dict[RowKey, Slot]:
        """Project ``slots``; return the wholes whose life may hang on what happened to their parts."""
        dying = [key for key, slot in slots.items() if slot.alive and not self._lives(key, slot)]
        living = {key: slot for key, slot in slots.items() if self._lives(key, slot)}
        full = {key: slot for key, slot in living.items() if not slot.alive or not slot.projected}
        partial = {key: slot for key, slot in living.items() if key not in full and slot.changed}
        self.prefetch(full)
        self.prefetch(partial, only_changed=not self.model.immutable)
        self.read_names({**full, **partial})
        moved = [key for key, slot in living.items() if slot.alive and (key in full or self.model.composition in slot.changed)]
        wholes = self._wholes([*dying, *moved])
        sql.delete_in(self.model.table, "token", [key.token for key in dying])
        self._write(full, partial)
        for key in slots.keys() - living.keys():
            slots[key].alive, slots[key].projected = False, True  # a row that is not there waits for nothing
        for slot in living.values():
            slot.alive = True
        return {**wholes, **self._wholes(living)}

    def _lives(self, key: RowKey, slot: Slot) -> bool:
        if is_own(self.model, slot.row):
            return True
        return bool(slot.row.deletes) and any(self._has_rows(part, key.token) for part in self.model.parts)

    @staticmethod
    def _has_rows(part: ModelSpec, whole: str) -> bool:
        return part.model._base_manager.filter(**{str(part.composition): whole}).exists()

    def prefetch(self, slots: dict[RowKey, Slot], only_changed: bool = False) -> None:
        """Read what the heads of ``slots`` say, or those of the fields that changed, and what merging them is likely to take."""
        always = {reference for _, reference in self.model.claimers.values() if reference}
        registers = [
            (key, name, heads)
            for key, slot in slots.items()
            for touched in [always.union(name.split("/", 1)[0] for name in slot.changed) if only_changed else always]
            for name, heads in slot.row.heads.items()
            if not only_changed or name.split("/", 1)[0] in touched
        ]
        # Of a register with very many heads one is shown, and the others stay where they are.
        found = (heads for _, _, heads in registers)
        self.values.prefetch({dot for heads in found for dot in (heads if len(heads) <= MANY else [self.values.shown(heads)])})
        merging.prefetch(self.values, self.model, (each for each in registers if len(each[2]) > 1))

    def read_names(self, slots: dict[RowKey, Slot]) -> None:
        """Read what differs from what was claimed, of the rows themselves and of those whose names they repeat."""
        if not self.model.claimers:
            return
        tokens = {key.token for key in slots}
        for _, reference in self.model.claimers.values():
            tokens.update(str(self._plain(key, slot, reference)) for key, slot in slots.items() if reference)
        self.displaced = claims.displaced(tokens)

    def _plain(self, key: RowKey, slot: Slot, name: str) -> Any:
        try:
            return self._value(key, slot, self.model.fields[name])
        except Exception as error:
            if is_of_the_machine(error):
                raise
            return None

    def _name(self, key: RowKey, slot: Slot, field: FieldSpec, value: Any) -> Any:
        """Return the name that the claim to ``value`` took."""
        label, reference = self.model.claimers[field.name]
        token = self._plain(key, slot, reference) if reference else key.token
        return self.displaced.get((label, str(token), value), value) if isinstance(value, str) else value

    def _write(self, full: dict[RowKey, Slot], partial: dict[RowKey, Slot]) -> None:
        inserts: dict[RowKey, list[Column]] = {}
        updates: dict[RowKey, list[Column]] = {}
        for rows, slots in ((inserts, full), (updates, partial)):
            for key, slot in slots.items():
                columns = self._columns(key, slot, everything=rows is inserts)
                if columns is not None:
                    rows[key] = columns
        self._store(inserts, self._insert)
        self._store(updates, self._update)

    def _columns(self, key: RowKey, slot: Slot, everything: bool) -> list[Column] | None:
        """Return the columns to be written; None for a row that is not to be touched, since it has no maker or waits for values."""
        touched = {name.split("/", 1)[0] for name in slot.changed}
        chosen = [field for field in self.model.fields.values() if everything or field.name in touched]
        reasons: list[str] = []
        try:
            self._check_maker(key, slot)
            columns = [(str(field.field.column), self._column(key, slot, field, reasons)) for field in chosen]
        except Exception as error:
            if is_of_the_machine(error):
                raise
            slot.projected, slot.reason = False, _said_of(error)
            return None
        # What a newer release has written into fields that are not known here is shown after the upgrade.
        unknown = self.model.unknown(slot.row.heads)
        reasons += [f"unknown fields: {', '.join(sorted(unknown))}"] if unknown else []
        slot.projected, slot.reason = not reasons, "; ".join(reasons)[:200]
        return columns

    def _column(self, key: RowKey, slot: Slot, field: FieldSpec, reasons: list[str]) -> Any:
        """Return what the column shows. Where no column takes what the registers say, the row is shown with what it takes.

        So the row is the same everywhere, whatever stood there before: see ``_next_best``. Raises KeyError where a value is absent.
        """
        asked = self.values.asked_in_vain
        try:
            return field.field.get_db_prep_save(self.shown(key, slot, field), connection)
        except Exception as error:  # whatever a field, or a function that cleans, raises of what a peer has sent
            if is_of_the_machine(error) or self.values.asked_in_vain > asked:
                raise
            reasons.append(_said_of(error))
            return field.field.get_db_prep_save(self._next_best(key, slot, field), connection)

    def _next_best(self, key: RowKey, slot: Slot, field: FieldSpec) -> Any:
        """Return what the greatest head says that a column takes; what is empty where none does."""
        heads = () if field.policy in ("set", "map") else self._standing(key, field.name, slot.row.heads.get(field.name, ()))
        for dot in sorted(heads, key=self.values.order, reverse=True)[:MANY]:
            try:
                return fitting(field, self.values.value(key, field.name, dot))
            except Exception as error:
                if is_of_the_machine(error):
                    raise
        return field.from_json(field.to_json(field.empty()))

    def shown(self, key: RowKey, slot: Slot, field: FieldSpec) -> Any:
        """Return what an instance is to have in ``field``. Raises whatever the field, or a function that cleans, raises."""
        said = self._value(key, slot, field)
        if self.displaced and field.name in self.model.claimers:
            said = self._name(key, slot, field, said)
        return fitting(field, said)

    def _check_maker(self, key: RowKey, slot: Slot) -> None:
        """Raise ValueError where nobody but others wrote a row that only its maker writes."""
        if self.model.immutable and not any(self._standing(key, name, heads) for name, heads in slot.row.heads.items()):
            raise ValueError(
                f"nothing of it was written by {maker_of(key.token) or 'a replica'}, and it is made once by its maker"
            )

    def _standing(self, key: RowKey, name: str, heads: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The heads that are shown: of an immutable row the first that its maker wrote, whoever wrote over it later."""
        if not self.model.immutable:
            return heads
        first = self.values.first_by(maker_of(key.token), key, name, heads)
        return (first,) if first is not None else ()

    def _value(self, key: RowKey, slot: Slot, field: FieldSpec) -> Any:
        if field.policy in ("set", "map"):
            prefix = f"{field.name}/"
            elements = {
                name[len(prefix) :]: self._standing(key, name, heads)
                for name, heads in slot.row.heads.items()
                if name.startswith(prefix)
            }
            if field.policy == "set":
                return sorted(e for e, heads in elements.items() if any(self.values.value(key, prefix + e, d) for d in heads))
            found = {e: merging.shown(self.values, key, field, e, heads) for e, heads in elements.items() if heads}
            return {element: value for element, value in found.items() if value is not None}
        heads = self._standing(key, field.name, slot.row.heads.get(field.name, ()))
        return merging.shown(self.values, key, field, None, heads) if heads else field.to_json(field.empty())

    def all_shown(self, key: RowKey, slot: Slot) -> dict[str, Any] | None:
        """Return what an instance is to have in each field; None where it cannot be shown."""
        try:
            self._check_maker(key, slot)
            return {field.name: self.shown(key, slot, field) for field in self.model.fields.values()}
        except Exception as error:
            if is_of_the_machine(error):
                raise
            return None

    def _store(self, rows: dict[RowKey, list[Column]], statement: Any) -> None:
        """Write all rows at once; where the database refuses, one by one, so that one bad row stops no other."""
        if not rows:
            return
        error = self._refused(rows, statement)
        if error is not None and len(rows) > 1:
            for key, columns in rows.items():
                self._store({key: columns}, statement)
        elif error is not None:
            slot = self.batch.slots[next(iter(rows))]
            slot.projected, slot.reason = False, _said_of(error)

    @staticmethod
    def _refused(rows: dict[RowKey, list[Column]], statement: Any) -> Exception | None:
        try:
            with transaction.atomic():
                statement(rows)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            return error
        return None

    def _insert(self, rows: dict[RowKey, list[Column]]) -> None:
        insert(self.model, [(key.token, *(value for _, value in columns)) for key, columns in rows.items()])

    def _update(self, rows: dict[RowKey, list[Column]]) -> None:
        groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for key, columns in rows.items():
            names = tuple(name for name, _ in columns)
            groups.setdefault(names, []).append((*(value for _, value in columns), key.token))
        for names, content in groups.items():
            sql.update(self.model.table, "token", names, content)

    def _wholes(self, parts: Iterable[RowKey]) -> dict[RowKey, Slot]:
        """The wholes of ``parts`` that are deleted by themselves, and so live or die with their parts."""
        if self.model.whole is None:
            return {}
        column = str(self.model.fields[str(self.model.composition)].field.column)
        tokens = {token for (token,) in sql.select_in(self.model.table, [column], "token", [key.token for key in parts])}
        return hanging(self.batch, [RowKey(self.model.whole.label, token) for token in tokens if token])

"""Deciding conflicts.

A decision is an ordinary write (or deletion) that names what was shown to whoever decided, so the conflict closes wherever it
arrives. What came meanwhile was not shown, and stays open. Each function is one transaction, names ``pending.author`` as its
author, and raises StaleError, having written nothing, where there is nothing left to decide. ``sync.decisions`` takes a decision back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models, transaction

from sync import commit, incarnation, local, rebuild
from sync.commit import Draft
from sync.conflicts import parts_of
from sync.core.changeset import Op
from sync.core.errors import StaleError
from sync.core.register import Row
from sync.registers import Batch, RowKey, Slot
from sync.registry import FieldSpec, ModelSpec, spec_of
from sync.values import Values


def take(model: str, token: str, field: str, dot: str, seen: Iterable[str]) -> None:
    """Let the version ``dot`` of a register stand, over all of ``seen``. Raises StaleError, and KeyError for an unknown dot."""
    key = RowKey(model, token)
    value = Values().value(key, field, bytes.fromhex(dot))
    with deciding():
        _overwrite(key, field, value, seen)


def write(model: str, token: str, field: str, value: Any, seen: Iterable[str]) -> None:
    """Let ``value``, which is JSON, stand in a register, over all of ``seen``.

    Raises StaleError, and ValidationError for what the field does not take.
    """
    key = RowKey(model, token)
    spec, element = field_of(key, field)
    with deciding():
        _overwrite(key, field, _checked(spec, element, value), seen)


def keep(model: str, token: str, seen: Iterable[str]) -> None:
    """Let the row stay: a write that names the deletions among ``seen``. Raises StaleError.

    The write repeats a value: that of a time when the row was made, which nobody edits, or of a text, which merges with what
    somebody else makes of it meanwhile. What the same deletions took of its parts, and stayed, is kept with it.
    """
    key = RowKey(model, token)
    with deciding():
        slot = opened(key)
        answered = [dot for dot in slot.row.unanswered() if dot.hex() in set(seen)]
        if not slot.alive or not answered:
            raise StaleError(f"nothing is left to decide about {token}; look again")
        values, draft = Values(), Draft()
        for each, row in {key: slot.row, **parts_of(key, _model(key))}.items():
            named = [dot for dot in row.unanswered() if dot in answered]
            if named:
                name, head = quietest(each, row, values)
                redraft(draft, each, name, values, head, [head, *named])
        record(slot.scope, draft)


def delete(model: str, token: str, seen: Iterable[str]) -> None:
    """Let the row go, and with it whatever its model's ``on_delete`` takes along.

    Raises StaleError where anything of the row or its parts is not among ``seen``.
    """
    key, shown = RowKey(model, token), set(seen)
    with deciding():
        slot = opened(key)
        spec = _model(key)
        rows = [slot.row, *parts_of(key, spec).values()]
        new = {dot.hex() for row in rows for dot in row.dots()} - shown
        row = spec.model._base_manager.filter(pk=token).first()
        if row is None or new:
            raise StaleError(f"{token} was changed since it was shown; look again before you delete it")
        row.delete()


# -- writing ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def deciding() -> Iterator[None]:
    """One decision, in a transaction or as a part of one. What that has written before is told first, as a changeset of its own.

    It is told outside of the savepoint: a decision that fails takes back nothing but itself.
    """
    if connection.in_atomic_block:
        commit.flush("default")
    with transaction.atomic():
        yield


def opened(key: RowKey) -> Slot:
    """Return the registers of a row. Called within ``deciding``."""
    local.take_turn()
    batch = Batch()
    batch.load([key])
    if key not in batch.slots:
        raise StaleError(f"there is no {key.model} {key.token} here")
    return batch.slots[key]


def record(scope: str, *drafts: Draft) -> None:
    """Make a changeset of each of ``drafts``, in this order, and apply them."""
    own = incarnation.ensure()
    rebuild.apply([commit.make(scope, draft, own) for draft in drafts])


def _overwrite(key: RowKey, name: str, value: Any, seen: Iterable[str]) -> None:
    slot = opened(key)
    heads = slot.row.heads.get(name, ())
    shown = [dot for dot in map(bytes.fromhex, seen) if Values().write(key, name, dot) is not None]
    if not slot.alive or len(set(shown) & set(heads)) == 0 or len(heads) < 2:
        raise StaleError(f"somebody has decided about {name} of {key.token} meanwhile; look again")
    spec, _ = field_of(key, name)
    draft = Draft()
    draft.ops.append(Op(*key, [_draft_write(draft, name, value, shown, spec)]))
    record(slot.scope, draft)


def _draft_write(draft: Draft, name: str, value: Any, over: Iterable[bytes], spec: FieldSpec) -> Any:
    field, _, element = name.partition("/")
    return draft.write(field, element or None, value, over, spec.policy == "latest")


def redraft(draft: Draft, key: RowKey, name: str, values: Values, dot: bytes, over: Iterable[bytes]) -> None:
    """Add to ``draft`` what ``dot`` wrote, once more, over ``over``."""
    spec, _ = field_of(key, name)
    draft.ops.append(Op(*key, [_draft_write(draft, name, values.value(key, name, dot), over, spec)]))


def quietest(key: RowKey, row: Row, values: Values) -> tuple[str, bytes]:
    """Return a register of the row, and its shown head, that can be written again without disturbing anybody."""
    model = _model(key)

    def rank(name: str) -> tuple[Any, ...]:
        field, _, element = name.partition("/")
        spec = model.fields[field]
        is_time_made = getattr(spec.field, "auto_now_add", False)
        order = values.order(values.shown(row.heads[name]))
        return (
            len(row.heads[name]) > 1,
            not is_time_made,
            not spec.is_text(element or None),
            spec.policy != "register",
            order,
            name,
        )

    usable = [name for name, heads in row.heads.items() if heads and _is_usable(model, name)]
    if not usable:
        raise StaleError(f"nothing of {key.token} can be written again")
    name = min(usable, key=rank)
    return name, values.shown(row.heads[name])


def _is_usable(model: ModelSpec, name: str) -> bool:
    spec = model.fields.get(name.partition("/")[0])
    return spec is not None and spec.policy not in ("latest", "claim")


# -- what is written --------------------------------------------------------------------------------------------------------------


def _model(key: RowKey) -> ModelSpec:
    model = spec_of(key.model)
    if model is None:
        raise StaleError(f"{key.model} is not known to this release")
    return model


def field_of(key: RowKey, name: str) -> tuple[FieldSpec, str | None]:
    """Return the field and the element that the register ``name`` of a row belongs to. Raises StaleError where it is unknown."""
    field, _, element = name.partition("/")
    spec = _model(key).fields.get(field)
    if spec is None:
        raise StaleError(f"{key.model} has no field {field} in this release")
    return spec, element or None


def _checked(spec: FieldSpec, element: str | None, value: Any) -> Any:
    """Return ``value`` as it is written. Raises ValidationError for what the column does not take."""
    value = spec.clean_merged(element, value) if isinstance(value, str) else value
    if element is not None:
        return value
    if value is None and spec.field.null:
        return None
    if isinstance(spec.field, models.ForeignKey):
        return str(value)  # what it names may not be here yet
    return spec.to_json(spec.field.clean(spec.from_json(value), None))

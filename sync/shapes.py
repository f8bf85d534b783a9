"""Shapes: what rows of one model have in common that were made by writes to the same fields. Worked out once, used for thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sync.columns import Prepare
from sync.core.register import encode_around
from sync.registry import ModelSpec

APART = ("set", "map")  # policies by which each element is a register


class Form(NamedTuple):
    """How a row is written: of each write the field, the element, and whether it is of those that keep no row alive."""

    fields: tuple[str, ...]
    elements: tuple[str | None, ...]
    latest: tuple[bool, ...]

    @property
    def keys(self) -> list[str]:
        """The names of the registers."""
        pairs = zip(self.fields, self.elements, strict=True)
        return [field if element is None else f"{field}/{element}" for field, element in pairs]


class Shape:
    """From the values of writes to columns. ``before`` and ``after``: the state of the registers around the dot."""

    def __init__(self, model: ModelSpec, prepare: Mapping[str, Prepare], form: Form) -> None:
        """Raises whatever a default does that does not fit."""
        self.before, self.after = encode_around(
            form.keys, [key for key, last in zip(form.keys, form.latest, strict=True) if last]
        )
        self.columns: list[Any] = [None]
        self.plain: list[tuple[int, int, Prepare]] = []  # place of the column, of the write
        self.apart: list[tuple[int, str, list[tuple[str, int]], Prepare]] = []
        for place, (name, field) in enumerate(model.fields.items(), 1):
            writes = [number for number, written in enumerate(form.fields) if written == name]
            self.columns.append(None if writes else prepare[name](field.to_json(field.empty())))
            if field.policy in APART and writes:
                self.apart.append((place, field.policy, [(str(form.elements[n]), n) for n in writes], prepare[name]))
            else:
                self.plain += [(place, number, prepare[name]) for number in writes]

    def row(self, token: str, values: Sequence[Any]) -> list[Any]:
        """Return token and columns, by the order of the model's fields. Raises as ``columns.fitting`` does."""
        row = self.columns.copy()
        row[0] = token
        for place, number, prepare in self.plain:
            row[place] = prepare(values[number])
        for place, policy, elements, prepare in self.apart:
            row[place] = prepare(_together(policy, {element: values[number] for element, number in elements}))
        return row


def shape_of(model: ModelSpec, prepare: Mapping[str, Prepare], form: Form) -> Shape | None:
    """Return the shape of rows of ``model`` that are written so; None where one is written twice, unknown, or not kept alive."""
    if len(set(form.keys)) < len(form.keys) or (all(form.latest) and not model.immutable):
        return None
    for name, element in zip(form.fields, form.elements, strict=True):
        field = model.fields.get(name)
        if field is None or (element is None) is (field.policy in APART):
            return None
    return Shape(model, prepare, form)


def _together(policy: str, elements: Mapping[str, Any]) -> Any:
    if policy == "set":
        return sorted(element for element, is_in in elements.items() if is_in)
    return {element: inner for element, inner in elements.items() if inner is not None}

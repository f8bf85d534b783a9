"""The values that somebody was shown, from the versions that he hands back: what of them has been overwritten since.

Whoever sends a whole row says nothing about the fields that he sends back as he got them. So we have to know how he got them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from sync import merging
from sync.pending import Heads
from sync.registers import Batch, RowKey, Slot
from sync.registry import FieldSpec, spec
from sync.values import Values
from sync.versions import Versions, row_key

UNKNOWN = (LookupError, ValueError, TypeError, ValidationError)


def overwritten(versions: Versions, rows: Iterable[models.Model]) -> dict[str, dict[str, Any]]:
    """Return, by token of ``rows``, the values shown that stand no more: attribute name -> value as an instance has it.

    What was dropped by a compaction is left out, and rows that ``versions`` does not know are too.
    """
    instances = {row_key(type(row), str(row.pk)): row for row in rows}
    known = {key: row for key, row in instances.items() if key in versions.rows}
    batch, values = Batch(), Values()
    batch.load(known)
    found = {key: _Row(key, batch.slots[key], versions.rows[key], values) for key in known if key in batch.slots}
    values.prefetch({dot for row in found.values() for name in row.stale for dot in row.shown.get(name, ())})
    return {key.token: row.values_of(known[key]) for key, row in found.items()}


class _Row:
    def __init__(self, key: RowKey, slot: Slot, shown: Heads, values: Values) -> None:
        self.key, self.shown, self.values = key, shown, values
        now = slot.row.heads
        self.stale = sorted(name for name in {*now, *shown} if not set(now.get(name, ())) <= set(shown.get(name, ())))

    def values_of(self, instance: models.Model) -> dict[str, Any]:
        """The values shown of the fields that were written since."""
        declared = spec(type(instance))
        assert declared is not None
        result: dict[str, Any] = {}
        for name in dict.fromkeys(name.split("/", 1)[0] for name in self.stale):
            field = declared.fields.get(name)
            try:
                if field is not None:
                    result[name] = self._value(field, getattr(instance, name))
            except UNKNOWN:
                continue
        return result

    def _value(self, field: FieldSpec, now: Any) -> Any:
        if field.policy not in ("set", "map"):
            return field.from_json(field.clean(self._said(field, None)))
        prefix = f"{field.name}/"
        names = [name.removeprefix(prefix) for name in self.stale if name.startswith(prefix)]
        elements = {name: self._said(field, name) if self.shown.get(prefix + name) else None for name in names}
        if field.policy == "map":
            return {key: value for key, value in {**now, **elements}.items() if value is not None}
        return sorted({*now} - elements.keys() | {element for element, present in elements.items() if present})

    def _said(self, field: FieldSpec, element: str | None) -> Any:
        """What a register showed, alone or merged."""
        dots = self.shown[merging.key_of(field, element)]
        if field.policy == "set":
            return any(self.values.value(self.key, merging.key_of(field, element), dot) for dot in dots)
        return merging.shown(self.values, self.key, field, element, dots)

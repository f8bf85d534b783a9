"""From a row as it was, as its author saw it, and as it is: the writes that say what the author did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sync.registry import FieldSpec, ModelSpec

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One register to be written.

    ``saw``: the JSON value that the author had before him; ``is_stale``: it is shown no more; ``saw_all``: a statement or
    an addition to a set, which overwrites whatever heads there are.
    """

    field: FieldSpec
    element: str | None
    value: Any
    saw: Any
    is_stale: bool
    saw_all: bool

    @property
    def key(self) -> str:
        """The register's name within its row."""
        return self.field.name if self.element is None else f"{self.field.name}/{self.element}"


@dataclass(frozen=True, slots=True)
class RowChange:
    """What one transaction did to one row. ``restore``: fields whose column no longer shows what the registers say."""

    model: ModelSpec
    token: str
    before: Values | None
    after: Values | None
    changes: list[Change]
    restore: set[str]

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to record, nor to restore."""
        return not self.changes and not self.restore and (self.before is None) == (self.after is None)


def row_change(model: ModelSpec, token: str, before: Values | None, after: Values | None, seen: Values) -> RowChange:
    """Return what was done to one row, given its values before and after, and those its author had loaded."""
    changes: list[Change] = []
    restore: set[str] = set()
    if after is not None:
        for field in model.fields.values():
            found = list(_field_changes(field, before, after, seen))
            changes += found
            if _needs_restoring(field, before, after, seen, found):
                restore.add(field.name)
    return RowChange(model, token, before, after, changes, restore)


def _field_changes(field: FieldSpec, before: Values | None, after: Values, seen: Values) -> Iterator[Change]:
    new = field.to_json(after[field.name])
    old = field.to_json(before[field.name]) if before is not None else None
    is_instance = before is not None and field.name in seen
    base = field.to_json(seen[field.name]) if is_instance else old
    if field.policy == "set":
        yield from _set_changes(field, _elements(old), _elements(base), _elements(new))
    elif field.policy == "map":
        yield from _map_changes(field, _mapping(old), _mapping(base), _mapping(new), not is_instance)
    elif before is None or new not in (base, old):
        yield Change(field, None, new, base, base != old, not is_instance)


def _set_changes(field: FieldSpec, old: set[str], base: set[str], new: set[str]) -> Iterator[Change]:
    for element in sorted((new ^ base) & (new ^ old)):
        present = element in base
        yield Change(field, element, not present, present, (element in old) != present, not present)


def _map_changes(field: FieldSpec, old: Values, base: Values, new: Values, saw_all: bool) -> Iterator[Change]:
    for element in sorted(base.keys() | new.keys()):
        if new.get(element) not in (base.get(element), old.get(element)):
            yield Change(field, element, new.get(element), base.get(element), base.get(element) != old.get(element), saw_all)


def _needs_restoring(field: FieldSpec, before: Values | None, after: Values, seen: Values, found: list[Change]) -> bool:
    """Whether the statement wrote over something that its author did not know, or in another form than a projection would."""
    if before is None:
        return False
    base = seen.get(field.name, before[field.name])
    if field.policy in ("set", "map"):
        return bool(after[field.name] != before[field.name] and base != before[field.name])
    return not found and bool(after[field.name] != before[field.name])


def _elements(value: Any) -> set[str]:
    return {str(item) for item in value} if isinstance(value, list) else set()


def _mapping(value: Any) -> Values:
    return value if isinstance(value, dict) else {}

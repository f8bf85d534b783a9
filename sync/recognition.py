"""Which writes an author had before him, recognized by the value that he saw.

For an instance, which carries values; a form carries the dots themselves (``sync.versions``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from sync import merging
from sync.core.changeset import detach
from sync.registers import RowKey
from sync.registry import FieldSpec
from sync.values import Values

MAX_LOOKED_AT = 1000  # writes of one register
MAX_COMBINED = 4  # heads of which any number may have been shown merged


class Register(NamedTuple):
    """One register: its row, its field, and the element within it."""

    row: RowKey
    field: FieldSpec
    element: str | None

    @property
    def key(self) -> str:
        """The name within the row."""
        return merging.key_of(self.field, self.element)


def writes_shown_as(saw: Any, values: Values, register: Register, heads: Sequence[bytes]) -> list[bytes]:
    """Return the heads that showed ``saw``, alone or merged, or their nearest ancestors that did; none where nothing did.

    Who was shown one of two texts that do not merge has seen that one; who was shown their merge has seen both.
    """
    if _merges_to(saw, values, register, heads):
        return list(heads)
    level, passed = list(heads), set[bytes]()
    sets = _some_of(heads) if register.field.is_text(register.element) else []
    while level and len(passed) < MAX_LOOKED_AT:
        alone = [dot for dot in level if _said(saw, values, register, dot) == saw]
        together = alone or next((list(dots) for dots in sets if _merges_to(saw, values, register, dots)), list[bytes]())
        if together:
            return together
        passed.update(level)
        overs = [values.over(register.row, register.key, dot) for dot in level]
        sets = [dots for dots in overs if len(dots) > 1]
        level = [dot for dot in dict.fromkeys(dot for dots in overs for dot in dots) if dot not in passed]
        values.prefetch(level)
    return []


def _some_of(heads: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """Yield the sets of some, not all, of ``heads``, the largest first: what was shown merged before the others came."""
    if len(heads) > MAX_COMBINED:
        return []
    return [chosen for count in range(len(heads) - 1, 1, -1) for chosen in combinations(heads, count)]


def _merges_to(saw: Any, values: Values, register: Register, dots: Sequence[bytes]) -> bool:
    text = merging.merged(values, register.row, register.field, register.element, dots)
    return text is not None and text == saw


def _said(saw: Any, values: Values, register: Register, dot: bytes) -> Any:
    """The value as a row shows it; ``...``, which nobody saw, for what is not here and is not ``saw``."""
    field, key = register.field, register.key
    try:
        value = values.value(register.row, key, dot)
        return value if register.element is not None else field.to_json(field.from_json(field.clean(value)))
    except KeyError:  # dropped by compaction; its digest says whether it is what was shown
        write = values.write(register.row, key, dot)
        return saw if write is not None and write.value == detach(saw)[0] else ...
    except (LookupError, ValueError, TypeError, ValidationError):
        return ...

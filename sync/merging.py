"""What a register with several heads shows: their merge where the policy is ``text`` and it succeeds, else the greatest head.

What is merged follows from the heads and their ancestors alone. So every replica shows the same; nothing of it is written, nor in
the digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sync.core.ancestry import TangledError, common_ancestors
from sync.core.lcs import Budget
from sync.core.text import MAX_STEPS, merge
from sync.registers import RowKey
from sync.registry import FieldSpec, ModelSpec
from sync.values import Values

MAX_SIBLINGS = 16  # beyond, nothing is merged
MAX_LOOKED_AT = 100  # heads of one register whose values are read; beyond, only order decides
MAX_DEPTH = 8  # of bases that are merges themselves

Heads = Sequence[bytes]


def key_of(field: FieldSpec, element: str | None) -> str:
    """Return the name of a register within its row."""
    return field.name if element is None else f"{field.name}/{element}"


def shown(values: Values, row: RowKey, field: FieldSpec, element: str | None, heads: Heads) -> Any:
    """Return the JSON value that every replica shows. Raises KeyError where a value that it takes was dropped."""
    before = values.asked_in_vain
    text = merged(values, row, field, element, heads) if len(heads) > 1 else None
    if text is not None:
        return text
    if values.asked_in_vain > before:
        raise KeyError("a value that the merge takes is not here; with it, this may be no conflict")
    return values.value(row, key_of(field, element), shown_head(values, row, field, element, heads))


def shown_head(values: Values, row: RowKey, field: FieldSpec, element: str | None, heads: Heads) -> bytes:
    """Return the head that is shown where nothing is merged: the greatest, of those that say None if these win."""
    if 1 < len(heads) <= MAX_LOOKED_AT and field.empty_wins:
        key = key_of(field, element)
        heads = [dot for dot in heads if said(values, row, key, dot) is None] or heads
    return values.shown(tuple(heads))


def heads_shown(values: Values, row: RowKey, field: FieldSpec, element: str | None, heads: Heads) -> list[bytes]:
    """Return the heads that whoever looks at the row is shown: all where they are merged, else those that say what is shown."""
    if len(heads) < 2 or merged(values, row, field, element, heads) is not None:
        return list(heads)
    if len(heads) > MAX_LOOKED_AT:
        return [values.shown(tuple(heads))]
    said_by = {dot: said(values, row, key_of(field, element), dot) for dot in heads}
    shown = any(said_by.values()) if field.policy == "set" else said_by[shown_head(values, row, field, element, heads)]
    return [dot for dot in heads if said_by[dot] is shown or said_by[dot] == shown]


def merged(values: Values, row: RowKey, field: FieldSpec, element: str | None, heads: Heads) -> str | None:
    """Return what ``heads`` say together, made safe to show; None where the register is no text, or they contradict."""
    if len(heads) < 2 or len(heads) > MAX_SIBLINGS or not field.is_text(element):
        return None
    key = key_of(field, element)
    texts = _texts(values, row, key, heads)
    if texts is None or len(set(texts)) == 1:
        return texts[0] if texts else None
    is_markup = element in field.markup
    budget = Budget(MAX_STEPS)
    old = _base(values, row, key, heads, is_markup, budget)
    text = None if old is None else merge(texts, old, is_markup, budget)
    safe = None if text is None else field.clean_merged(element, text)
    limit = field.field.max_length if element is None else None
    return None if safe is None or (limit and len(safe) > limit) else safe


def base(values: Values, row: RowKey, field: FieldSpec, element: str | None, heads: Heads) -> Any:
    """Return the value that the authors of ``heads`` had all seen; None where there is none, or it is not here."""
    key = key_of(field, element)
    try:
        found = common_ancestors(heads, lambda dot: values.parents(row, key, dot), values.order)
        if len(found) == 1:
            return values.value(row, key, found[0])
    except (TangledError, KeyError):
        return None
    return _base(values, row, key, heads, element in field.markup, Budget(MAX_STEPS)) if field.is_text(element) else None


def _base(
    values: Values, row: RowKey, key: str, heads: Heads, is_markup: bool, budget: Budget, depth: int = MAX_DEPTH
) -> str | None:
    try:
        found = common_ancestors(heads, lambda dot: values.parents(row, key, dot), values.order)
    except TangledError:
        return None
    texts = _texts(values, row, key, found)
    if not texts or len(texts) == 1 or not depth:
        return texts[0] if texts and len(texts) == 1 else None
    older = _base(values, row, key, found, is_markup, budget, depth - 1)
    return None if older is None else merge(texts, older, is_markup, budget)


def _texts(values: Values, row: RowKey, key: str, dots: Iterable[bytes]) -> list[str] | None:
    found = [said(values, row, key, dot) for dot in dots]
    return found if all(isinstance(text, str) for text in found) else None


def said(values: Values, row: RowKey, key: str, dot: bytes) -> Any:
    """Return what a write said; ``...`` for what was dropped, which is no JSON."""
    try:
        return values.value(row, key, dot)
    except KeyError:
        return ...


def prefetch(values: Values, model: ModelSpec, several: Iterable[tuple[RowKey, str, Heads]]) -> None:
    """Read at once what merging these registers (row, key, heads) is likely to take: the heads' order, and what they overwrote."""
    found = [each for each in several if len(each[2]) <= MAX_LOOKED_AT]
    if not found:
        return
    above: set[bytes] = set()
    for row, key, heads in found:
        name, _, element = key.partition("/")
        field = model.fields.get(name)
        if field is not None and field.is_text(element or None) and len(heads) <= MAX_SIBLINGS:
            above.update(seen for dot in heads for seen in values.over(row, key, dot))
    values.read_orders({dot for _, _, heads in found for dot in heads} | above)
    values.prefetch(above)

"""What one changeset may ask of whoever applies it, beside the bytes that the wire bounds.

A function of the changeset alone, so that every replica decides alike. Writers ask it as well: what nobody would apply is
never made. The bounds lie far above what a person, or an import, does in one transaction.
"""

from __future__ import annotations

from typing import Any

from sync.core.changeset import Head, Op

MAX_HEAD_BYTES = 16 << 20  # of a whole head
MAX_DEPTH = 100  # of lists and objects within each other, in one value
MAX_KEYS = 10_000  # registers of one row that one changeset writes
MAX_REFERENCES = 100_000  # in all ``over`` and ``seen`` of one op
MAX_ELEMENT = 4_000  # characters of an element of a set, or of a key of a map


def excess(head: Head, raw: bytes) -> str:
    """Return what is too large about ``head``, whose bytes are ``raw``, for people; an empty text where nothing is."""
    if len(raw) > MAX_HEAD_BYTES:
        return f"it changes {len(head.ops)} rows in {len(raw)} bytes; at most {MAX_HEAD_BYTES} are applied"
    if len(raw) <= MAX_ELEMENT and raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return ""  # as nearly all are: too few bytes and brackets for any of the bounds below
    return next((found for op in head.ops if (found := _op_excess(op))), "")


def _op_excess(op: Op) -> str:
    where, references = f"{op.model} {op.token}", len(op.seen or ())
    if len(op.writes) > MAX_KEYS:
        return f"{where} is written {len(op.writes)} times; at most {MAX_KEYS} writes to one row are applied"
    for write in op.writes:
        references += len(write.over)
        if write.element is not None and len(write.element) > MAX_ELEMENT:
            return f"{where} has a key of {len(write.element)} characters; at most {MAX_ELEMENT} are applied"
        if isinstance(write.value, list) and is_too_deep(write.value):  # of objects, only the digest of one stands here
            return f"{where} nests {write.field} deeper than {MAX_DEPTH} levels"
    return f"{where} refers to more than {MAX_REFERENCES} writes" if references > MAX_REFERENCES else ""


def is_too_deep(value: Any) -> bool:
    """Say whether lists and objects stand within each other deeper than ``MAX_DEPTH``. Needs no recursion itself."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        if depth > MAX_DEPTH:
            return True
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return False

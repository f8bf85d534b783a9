"""Fractional keys: texts that order blocks, with room for one more between any two, so that a move writes one row.

A key is a text over 0-9A-Za-z read as the digits of a fraction; it never ends in ``0``. After Greenspan,
"Implementing Fractional Indexing", 2020.
"""

from __future__ import annotations

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def between(low: str, high: str) -> str:
    """Return a key strictly between ``low`` and ``high``; an empty text stands for the open end on that side.

    Raises ValueError unless ``low`` < ``high``.
    """
    if high and low >= high:
        raise ValueError(f"{low!r} does not come before {high!r}")
    prefix, position = "", 0
    while True:
        floor = DIGITS.index(low[position]) if position < len(low) else 0
        ceiling = DIGITS.index(high[position]) if high and position < len(high) else len(DIGITS)
        if ceiling - floor > 1:
            return prefix + DIGITS[(floor + ceiling) // 2]
        prefix += DIGITS[floor]
        if ceiling > floor:
            high = ""
        position += 1


def spread(count: int, low: str = "", high: str = "") -> list[str]:
    """Return ``count`` ascending keys between ``low`` and ``high``, as short as an even spread allows."""
    if count <= 0:
        return []
    middle = between(low, high)
    before = (count - 1) // 2
    return [*spread(before, low, middle), middle, *spread(count - 1 - before, middle, high)]

"""References may lead to rows that have not arrived yet."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model


def follow(row: Model, name: str) -> Any:
    """Return the row that the reference ``name`` of ``row`` leads to; None where there is none, or it is not here."""
    try:
        return getattr(row, name)
    except ObjectDoesNotExist:
        return None

"""Claims: every value that a field of policy ``claim`` was ever given, so that an address once given out leads somewhere for ever.

The first claim of a value, by clock, token and dot, owns it: alike on every replica, also after its row was renamed or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

from sync.core.changeset import Changeset, Write
from sync.db import sql
from sync.models import Claim
from sync.registry import spec_of

TABLE = Claim._meta.db_table
MAX_LENGTH = 500  # of a value that can be claimed


def note(changesets: Iterable[Changeset]) -> None:
    """Keep the claims that ``changesets``, which count, make."""
    rows = []
    for changeset in changesets:
        for op in changeset.head.ops:
            model = spec_of(op.model)
            for write in op.writes if model else ():
                field = model.fields.get(write.field) if model else None
                value = _said(changeset, write) if field is not None and field.policy == "claim" else None
                if value is not None:
                    rows.append((op.model, value, op.token, *changeset.head.clock, changeset.dot))
    sql.insert(TABLE, ("model", "value", "token", "ms", "counter", "dot"), rows)


def _said(changeset: Changeset, write: Write) -> str | None:
    """The text that a write claims; None for what is no text that could be an address."""
    try:
        value = changeset.value(write)
    except (KeyError, ValueError):
        return None
    fits = isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable()
    return value if fits else None


def forget(dots: Iterable[bytes]) -> None:
    """Take back the claims of changesets that no longer count."""
    sql.delete_in(TABLE, "dot", dots)


def owner(model: str, value: str) -> str | None:
    """Return the token of the row of ``model`` (``content.page``) that owns ``value``; None where nobody ever claimed it."""
    claims = Claim.objects.filter(model=model, value=value).order_by("ms", "counter", "token", "dot")
    return claims.values_list("token", flat=True).first()

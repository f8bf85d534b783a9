"""Slugs: readable addresses that carry the tag of their row, so that equal titles do not clash."""

from __future__ import annotations

import re
import unicodedata

from sync.core.token import tag_of


def slugify(title: str) -> str:
    """Return ``title`` as words of ASCII letters, digits and underscores joined by hyphens, as Django's ``slugify`` does."""
    text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text)).strip("-_")


def make_slug(title: str, token: str) -> str:
    """Return the slug of the row ``token``: ``example-page-43ax``; the tag alone when the title has no ASCII letters."""
    return f"{slugify(title)}-{tag_of(token)}".lstrip("-")

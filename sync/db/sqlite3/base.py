"""SQLite, with narrow replicated tables WITHOUT ROWID."""

from __future__ import annotations

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite."""

"""PostgreSQL, through which every write of the ORM is seen, with texts in byte order."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as BaseOperations

from sync.db.capturing import CapturingConnection


class DatabaseOperations(BaseOperations):
    """Django's operations with our compilers."""

    compiler_module = "sync.db.postgresql.compiler"


def _varchar(data: dict[str, Any]) -> str:
    """Byte order, as on SQLite: blocks, tokens and slugs sort alike on every replica, whatever the locale of its server."""
    length = data["max_length"]
    return 'varchar COLLATE "C"' if length is None else f'varchar({length}) COLLATE "C"'


class DatabaseWrapper(CapturingConnection, base.DatabaseWrapper):
    """Django's PostgreSQL."""

    ops_class = DatabaseOperations
    data_types: dict[str, Any] = {**base.DatabaseWrapper.data_types, "CharField": _varchar}

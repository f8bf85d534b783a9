"""PostgreSQL, through which every write of the ORM is seen."""

from __future__ import annotations

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as BaseOperations

from sync.db.capturing import CapturingConnection


class DatabaseOperations(BaseOperations):
    """Django's operations with our compilers."""

    compiler_module = "sync.db.postgresql.compiler"


class DatabaseWrapper(CapturingConnection, base.DatabaseWrapper):
    """Django's PostgreSQL."""

    ops_class = DatabaseOperations

"""Django's SQL compilers for PostgreSQL; those that write are seen."""

from django.db.backends.postgresql import compiler
from django.db.models.sql.compiler import SQLAggregateCompiler, SQLCompiler
from django.db.models.sql.compiler import SQLDeleteCompiler as BaseDeleteCompiler
from django.db.models.sql.compiler import SQLUpdateCompiler as BaseUpdateCompiler

from sync.db.capturing import CapturingInserts, CapturingWrites

__all__ = ["SQLAggregateCompiler", "SQLCompiler", "SQLDeleteCompiler", "SQLInsertCompiler", "SQLUpdateCompiler"]


class SQLInsertCompiler(CapturingInserts, compiler.SQLInsertCompiler):
    """INSERT."""


class SQLUpdateCompiler(CapturingWrites, BaseUpdateCompiler):
    """UPDATE."""


class SQLDeleteCompiler(CapturingWrites, BaseDeleteCompiler):
    """DELETE."""

"""Django's SQL compilers; those that write are seen."""

from django.db.models.sql import compiler
from django.db.models.sql.compiler import SQLAggregateCompiler, SQLCompiler

from sync.db.capturing import CapturingInserts, CapturingWrites

__all__ = ["SQLAggregateCompiler", "SQLCompiler", "SQLDeleteCompiler", "SQLInsertCompiler", "SQLUpdateCompiler"]


class SQLInsertCompiler(CapturingInserts, compiler.SQLInsertCompiler):
    """INSERT."""


class SQLUpdateCompiler(CapturingWrites, compiler.SQLUpdateCompiler):
    """UPDATE."""


class SQLDeleteCompiler(CapturingWrites, compiler.SQLDeleteCompiler):
    """DELETE."""

"""Copying the tables of a PostgreSQL database in one snapshot, and putting them back in one transaction.

By COPY, which needs no program of PostgreSQL beside this one, nor one of the server's release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction

from sync.backup.sqlite import COPY
from sync.core.errors import NeedsOperatorError

PIECE = 1 << 20  # bytes
NAME = re.compile(r"[a-z0-9_]+")

Tables = dict[str, list[str]]  # table -> columns


def copy_to(folder: Path) -> Tables:
    """Write each table to a file of ``folder``, all as of one moment; return what was written."""
    folder.mkdir(mode=0o700)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = _tables(cursor)
        for table, columns in tables.items():
            with (
                (folder / f"{table}.copy").open("xb") as file,
                cursor.copy(f"COPY {_listed(table, columns)} TO STDOUT") as rows,
            ):
                for piece in rows:
                    file.write(piece)
    return tables


def _tables(cursor: Any) -> Tables:
    cursor.execute(
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND is_generated = 'NEVER' GROUP BY table_name"
    )
    return {table: list(columns) for table, columns in sorted(cursor.fetchall())}


def _listed(table: str, columns: list[str]) -> str:
    quote = connection.ops.quote_name
    return f"{quote(table)} ({', '.join(map(quote, columns))})"


def is_used(tables: list[str]) -> bool:
    """Say whether the database has rows in any of ``tables``."""
    there = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in tables:
            if table in there:
                cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608
                if cursor.fetchone():
                    return True
    return False


def replace(folder: Path, tables: Tables, is_kept: bool) -> str:
    """Put the tables of ``folder`` in the place of those in the database, in one transaction.

    Return the schema in which what was there is kept; empty where it is not to be. Raises NeedsOperatorError where the tables of
    the backup are others than those of this release.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        here = _tables(cursor)
        if {table: set(columns) for table, columns in here.items()} != {table: set(names) for table, names in tables.items()}:
            raise NeedsOperatorError(
                "the backup has other tables than this database; install the release that made it, run migrate and restore "
                "there, then go on to the newer one"
            )
        quote = connection.ops.quote_name
        cursor.execute(f"LOCK TABLE {', '.join(map(quote, here))} IN ACCESS EXCLUSIVE MODE")
        aside = _keep(cursor, here) if is_kept else ""
        cursor.execute(f"TRUNCATE {', '.join(map(quote, here))}")
        for table, columns in tables.items():
            with cursor.copy(f"COPY {_listed(table, columns)} FROM STDIN") as rows:
                for piece in _pieces(folder / f"{table}.copy"):
                    rows.write(piece)
        for statement in connection.ops.sequence_reset_sql(no_style(), list(apps.get_models(include_auto_created=True))):
            cursor.execute(statement)
        cursor.execute("UPDATE sync_local SET place = %s", [COPY])
    return aside


def _keep(cursor: Any, tables: Tables) -> str:
    """Copy all tables into a schema of their own and return its name."""
    schema, quote = f"before_restore_{datetime.now(UTC):%Y%m%d%H%M%S%f}", connection.ops.quote_name
    cursor.execute(f"CREATE SCHEMA {quote(schema)}")
    for table in tables:
        cursor.execute(f"CREATE TABLE {quote(schema)}.{quote(table)} AS TABLE {quote(table)}")
    return schema


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece

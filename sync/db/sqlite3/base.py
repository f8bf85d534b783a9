"""SQLite, through which every write of the ORM is seen, with narrow tables WITHOUT ROWID."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.features import DatabaseFeatures as BaseFeatures
from django.db.backends.sqlite3.operations import DatabaseOperations as BaseOperations
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as BaseSchemaEditor
from django.db.models import Model

from sync.db.capturing import CapturingConnection
from sync.db.sqlite3.turnstile import Turnstile


def is_narrow(table: str) -> bool:
    """Say whether the model of ``table`` asks for a table WITHOUT ROWID (class attribute ``without_rowid``).

    Wide rows keep SQLite's hidden number: in a tree of random keys each of them would dirty a page of its own.
    """
    name = table.removeprefix("new__")  # Django remakes a table under this name
    return any(getattr(model, "without_rowid", False) for model in apps.get_models() if model._meta.db_table == name)


class DatabaseSchemaEditor(BaseSchemaEditor):
    """Makes narrow tables WITHOUT ROWID."""

    def table_sql(self, model: type[Model]) -> tuple[str, list[Any]]:
        """Return Django's CREATE TABLE, with the clause where the model asks for it."""
        sql, params = super().table_sql(model)
        return (f"{sql} WITHOUT ROWID" if is_narrow(model._meta.db_table) else sql), params


class DatabaseOperations(BaseOperations):
    """Django's operations with our compilers."""

    compiler_module = "sync.db.sqlite3.compiler"


def _lay_out(file: Path) -> None:
    """Make a new file one that gives back what is dropped. Said to a file that is there, it would write at each opening."""
    if file.exists() and file.stat().st_size:
        return
    made = sqlite3.connect(file)
    try:
        made.executescript("PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL")
    finally:
        made.close()


class DatabaseFeatures(BaseFeatures):
    """Django's, without asking the database what all that we run on can: else no check could name what is wrong with it."""

    supports_json_field = True


class Cursor(base.SQLiteCursorWrapper):
    """Django's cursor, which turns each ``%s`` of a statement into ``?`` when it sees that statement first, and not again and again."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """Return ``query`` in the words of sqlite3."""
        if param_names is not None:
            return super().convert_query(query, param_names=param_names)
        return _with_question_marks(query)


@lru_cache(maxsize=200)
def _with_question_marks(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class DatabaseWrapper(CapturingConnection, base.DatabaseWrapper):
    """Django's SQLite."""

    ops_class = DatabaseOperations
    features_class = DatabaseFeatures
    SchemaEditorClass = DatabaseSchemaEditor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turnstile = Turnstile(Path(self.settings_dict["NAME"]))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open the file, and remember which one it was: another may be put in its place."""
        from sync.place import file_at

        _lay_out(Path(self.settings_dict["NAME"]))
        self.turnstile.close()
        self.turnstile = Turnstile(Path(self.settings_dict["NAME"]))
        opened = super().get_new_connection(conn_params)
        self.sync_file = file_at(str(self.settings_dict["NAME"]))
        return opened

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor of our kind."""
        return self.connection.cursor(factory=Cursor)

    def _wait_for_turn(self) -> None:
        """Wait for our turn; a database in memory is nobody else's."""
        if not self.is_in_memory_db():
            self.turnstile.enter()

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction, which takes the write lock, when it is our turn."""
        self._wait_for_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self.turnstile.leave()
            raise

    def _set_autocommit(self, autocommit: bool) -> None:
        try:
            super()._set_autocommit(autocommit)  # type: ignore[misc]
        finally:
            if autocommit:
                self.turnstile.leave()

    @contextmanager
    def turn_to_write(self) -> Iterator[None]:
        """Wait for our turn, for a statement outside of a transaction."""
        if self.in_atomic_block or self.turnstile.has_turn:
            yield
            return
        self._wait_for_turn()
        try:
            yield
        finally:
            self.turnstile.leave()

    def close_if_unusable_or_obsolete(self) -> None:
        """Close what a request leaves, where something went wrong with it or another file stands in the place of its own.

        Django asks before and after each request. Any other connection is kept, for the next request of the thread.
        """
        if self.connection is not None and not self.in_atomic_block and (self.errors_occurred or self._is_replaced()):
            self.close()
            return
        super().close_if_unusable_or_obsolete()

    def _is_replaced(self) -> bool:
        from sync.place import file_at

        return file_at(str(self.settings_dict["NAME"])) != self.sync_file

    def close(self) -> None:
        """Close, and let others have the turn."""
        super().close()
        self.turnstile.close()

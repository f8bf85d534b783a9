"""PostgreSQL, through which every write of the ORM is seen, with texts in byte order."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as BaseOperations
from psycopg_pool import PoolTimeout

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

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection out of the pool. Where there is none to be had, say why, which the pool does not.

        A pool tries to reach a server for as long as it is asked to wait. So the first connection of a process, and one after the
        pool has failed, is tried directly: it is refused at once.
        """
        if self.pool and self.pool.closed:
            self._try(conn_params)
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            self._try(conn_params)
            raise

    def _try(self, conn_params: dict[str, Any]) -> None:
        self.Database.connect(**{key: value for key, value in conn_params.items() if key != "pool"}).close()

    data_types: dict[str, Any] = {**base.DatabaseWrapper.data_types, "CharField": _varchar}

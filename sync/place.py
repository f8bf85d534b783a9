"""What tells the database of this replica from a copy of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from django.db import OperationalError, connection

_servers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # by connection of psycopg, which stays with one database for life


def here() -> str:
    """Return where the database is: file and file system, or server and database. Empty where it is in memory.

    The identity of a file system outlives a restart of the machine and is the same in every container, unlike the number of
    its device.
    """
    return _file() if connection.vendor == "sqlite" else _server()


def file_at(name: str) -> str:
    """Return what tells the file ``name`` from all others of this machine; empty where there is none."""
    try:
        return f"file {Path(name).stat().st_ino} {os.statvfs(name).f_fsid:x}"
    except OSError:
        return ""


def _file() -> str:
    found = file_at(str(connection.settings_dict["NAME"]))
    opened = getattr(connection, "sync_file", found)
    if found != opened:
        raise OperationalError(
            f"the database {connection.settings_dict['NAME']} was replaced while it was open; nothing was written, try again"
        )
    return found


def _server() -> str:
    connection.ensure_connection()
    key: Any = connection.connection
    if key not in _servers:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid::text, has_function_privilege('pg_control_system()', 'execute') FROM pg_database "
                "WHERE datname = current_database()"
            )
            database, may_ask = cursor.fetchone()
            system = ""
            if may_ask:
                cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
                system = cursor.fetchone()[0]
        _servers[key] = f"server {system} {database}"
    return _servers[key]

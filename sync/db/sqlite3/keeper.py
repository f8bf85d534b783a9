"""A process that serves keeps its database open, so that a full disk cannot keep it from reading.

Whoever closes an SQLite database last removes the index of its write-ahead log (``-shm``), and the next one makes it anew: 32 KiB
that a full disk does not give. The threads that answer keep it open too, but each from its first request on, and not after a mistake.
"""

from __future__ import annotations

import logging
import sqlite3

from django.db import connection

logger = logging.getLogger(__name__)

_held: list[sqlite3.Connection] = []  # open for the life of the process


def keep_open() -> None:
    """Hold the database open, by a connection that nobody uses. Called once in a process, after it was forked."""
    if connection.vendor != "sqlite":
        return
    name = str(connection.settings_dict["NAME"])
    held = sqlite3.connect(name, uri=name.startswith("file:"), check_same_thread=False)
    try:
        held.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        held.close()
        logger.warning("%s cannot be held open: %s", name, error)
        return
    _held.append(held)

"""What this replica knows of itself: its incarnation and its clock, both in its database, and the turn to write."""

from __future__ import annotations

import secrets
import time
from functools import lru_cache
from pathlib import Path

from django.db import connection

from sync.core.clock import Timestamp
from sync.db import sql
from sync.models import Local

# One lock for all writers of one PostgreSQL database: from the first replicated write of a transaction to its commit.
# Sequence numbers then commit in their order, and two writers never wait for each other's rows.
TURN = 0x65646765


def wall_ms() -> int:
    """The wall clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def uptime_ms() -> int:
    """Milliseconds since the machine started, which no setting of the wall clock changes; alike in all of its processes."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


@lru_cache(maxsize=1)
def boot() -> str:
    """Return what tells this start of the machine from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def now_ms(own: Local) -> int:
    """The time of day: by the wall clock, or as a master has said it, where that is later. See ``sync.clocks``."""
    return max(wall_ms(), own.heard_ms + uptime_ms()) if own.boot and own.boot == boot() else wall_ms()


def take_turn() -> None:
    """Wait until no other transaction writes replicated rows; held to the end of the transaction.

    SQLite holds its one write lock from BEGIN IMMEDIATE already.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


def is_turn_awaited() -> bool:
    """Say whether another transaction waits for the turn that this one has."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_AWAITED, [TURN])
            return bool(cursor.fetchone()[0])
    return bool(connection.turnstile.is_awaited())  # type: ignore[attr-defined]


_AWAITED = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database WHERE locktype = 'advisory' "
    "AND NOT granted AND datname = current_database() AND classid = 0 AND objid = %s)"
)


def state() -> Local:
    """Return the row of this replica, made at first use.

    It is asked for many times in each request and each save, so the statement is not put together anew each time. The wide field
    ``declared`` is read when it is used.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        row = cursor.fetchone()
    if row is None:
        return Local.objects.get_or_create(pk=1, defaults={"incarnation": new_incarnation()})[0]
    found: Local = Local.from_db(connection.alias, _FIELDS, row)
    found.sparse = bool(found.sparse)  # SQLite has numbers for them
    return found


_READ = [field for field in Local._meta.concrete_fields if field.name != "declared"]
_FIELDS = [field.attname for field in _READ]
_STATE = "SELECT {} FROM {} WHERE id = 1".format(", ".join(f'"{field.column}"' for field in _READ), Local._meta.db_table)  # noqa: S608


def new_incarnation() -> str:
    """Return 16 random hex digits."""
    return secrets.token_hex(8)


def clock_of(row: Local) -> Timestamp:
    """Return the hybrid logical clock as it stands in the database."""
    return Timestamp(row.clock_ms, row.clock_counter)


def count(own: Local, stamp: Timestamp) -> None:
    """Keep that one more changeset was made here, at ``stamp``. Called within the transaction that makes it."""
    own.clock_ms, own.clock_counter, own.written = stamp.ms, stamp.counter, own.written + 1
    Local.objects.filter(pk=1).update(clock_ms=own.clock_ms, clock_counter=own.clock_counter, written=own.written)


def set_clock(stamp: Timestamp) -> None:
    """Keep the clock. Called within the transaction that made or applied ``stamp``."""
    sql.update(Local._meta.db_table, "id", ("clock_ms", "clock_counter"), [(*stamp, 1)])

"""``/healthz``: is the process alive. ``/readyz``: can it serve. Both answer whatever the host, without a session."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string

from edgecms import __version__
from edgecms.metrics import metrics
from sync import upgrades

LEAST_FREE = 8 << 20  # bytes: a few uploads, or the write-ahead log of a pull


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as the process can answer at all; nothing else is touched."""
    return JsonResponse(_about("ok"))


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when every check of ``settings.READY_CHECKS`` passes, 503 with ``reasons`` (check, reason) otherwise."""
    reasons = why_not_ready()
    if reasons:
        return JsonResponse({**_about("not ready"), "reasons": reasons}, status=503)
    return JsonResponse(_about("ready"))


def _about(status: str) -> dict[str, str]:
    environment = settings.ENVIRONMENT
    return {"status": status, "replica": environment.name, "role": environment.role, "version": __version__}


def why_not_ready() -> list[dict[str, str]]:
    """Return what stands against serving. A check that breaks has failed; it ends the round."""
    reasons = []
    for path in settings.READY_CHECKS:
        name = path.rpartition(".")[2]
        try:
            if reason := import_string(path)():
                reasons.append({"check": name, "reason": reason})
        except Exception as error:
            return [*reasons, {"check": name, "reason": f"{type(error).__name__}: {error}".strip()}]
    return reasons


_migrated = False


def migrated() -> str:
    """Say which migrations are missing. Once none is, that stays true for the life of the process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            return f"{len(plan)} migrations are not applied, the first is {plan[0][0]}; run: manage.py migrate"
        if unfinished := upgrades.why_unfinished():
            return unfinished
        _migrated = True
    return ""


def database_writable() -> str:
    """Say why the database takes no writes: a standby, a read-only file, a full disk. A busy one does take them."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            return "the database is read-only" if cursor.fetchone()[0] == "on" else ""
    return _sqlite_writable(str(connection.settings_dict["NAME"]))


def _sqlite_writable(name: str) -> str:
    """Take the write lock for a moment, by a connection of its own that never waits behind a long transaction."""
    probe = sqlite3.connect(name, timeout=0, isolation_level=None, uri=name.startswith("file:"))
    try:
        probe.execute("BEGIN IMMEDIATE")
        # The lock alone is given on a read-only file too; a change that is taken back is not.
        probe.execute("PRAGMA user_version = 1")
        probe.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "" if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY else f"the database takes no writes: {error}"
    finally:
        probe.close()
    return ""


def folder_writable() -> str:
    """Say why EDGECMS_DATA takes no files, or soon will not."""
    folder = settings.ENVIRONMENT.data
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="readyz-") as file:
            file.write(b"ready")
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"EDGECMS_DATA ({folder}) takes no files: {error.strerror}"
    if free < LEAST_FREE:
        return f"EDGECMS_DATA ({folder}) is nearly full: {free >> 10} KiB are left; make room, at least {LEAST_FREE >> 20} MiB"
    return ""


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


class ProbesMiddleware:
    """Answers the addresses of ``PROBES``; everything else goes on to the site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        return self.get_response(request) if probe is None else _uncached(probe(request))


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response

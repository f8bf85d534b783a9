"""Probes tell the truth about a replica: alive, ready, or why not."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from edgecms import health
from tests.cluster.harness import Cluster, Replica
from tests.servers import PostgreSQL


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    """A replica on SQLite with an empty folder; nothing runs."""
    return Cluster(tmp_path).make("EDGE01", "edge", farm="thames")


def asked(replica: Replica) -> dict[str, object]:
    """Ask /readyz in a process of that replica; return check -> reason, with the status under ``status``."""
    script = (
        "import json; from django.test import Client; answer = Client().get('/readyz'); "
        "reasons = {r['check']: r['reason'] for r in answer.json().get('reasons', [])}; "
        "print(json.dumps({'status': answer.status_code, **reasons}))"
    )
    return json.loads(replica.manage("shell", "--verbosity", "0", "-c", script).stdout)


def test_replica_without_tables_is_alive_and_not_ready(replica: Replica) -> None:
    """Before the first migrate /readyz answers 503, names what is missing and says what to run."""
    answer = asked(replica)
    assert answer["status"] == 503
    assert "run: manage.py migrate" in str(answer["migrated"])


def test_migrated_replica_is_ready(replica: Replica) -> None:
    """After migrate nothing stands against it."""
    replica.must("migrate", "--verbosity", "0")
    assert asked(replica) == {"status": 200}


def test_writer_at_work_does_not_make_a_replica_unready(replica: Replica) -> None:
    """A long pull that holds SQLite's write lock is work, not a fault."""
    replica.must("migrate", "--verbosity", "0")
    writer = sqlite3.connect(replica.folder / "db.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert asked(replica) == {"status": 200}
    finally:
        writer.close()


def test_folder_that_is_gone_is_named(tmp_path: Path, settings: Settings) -> None:
    """A data folder that takes no files is a reason that names the folder."""
    gone = tmp_path / "gone"
    gone.mkdir()
    settings.ENVIRONMENT = dataclasses.replace(settings.ENVIRONMENT, data=gone)
    assert health.folder_writable() == ""
    shutil.rmtree(gone)
    assert f"EDGECMS_DATA ({gone}) takes no files" in health.folder_writable()


def test_read_only_sqlite_is_named(tmp_path: Path) -> None:
    """A database that takes no writes is a reason."""
    path = tmp_path / "db.sqlite3"
    sqlite3.connect(path).execute("CREATE TABLE t (n)")
    assert health._sqlite_writable(str(path)) == ""
    assert "takes no writes" in health._sqlite_writable(f"file:{path}?mode=ro")


@pytest.mark.postgresql
def test_standby_postgresql_is_not_ready(tmp_path: Path, postgresql_server: PostgreSQL) -> None:
    """A PostgreSQL that only reads is a reason; one that writes is none."""
    url = postgresql_server.database()
    node = Cluster(tmp_path).make("NODE01", "node", farm="thames", database_url=url)
    node.must("migrate", "--verbosity", "0")
    assert asked(node) == {"status": 200}
    node.database_url = f"{url}&options=-c%20default_transaction_read_only%3Don"
    assert asked(node) == {"status": 503, "database_writable": "the database is read-only"}


def test_unreachable_database_is_a_reason_and_the_process_stays_alive(tmp_path: Path) -> None:
    """A database that does not answer makes /readyz say so; /healthz does not ask it."""
    node = Cluster(tmp_path).make("NODE01", "node", database_url="postgres://nobody@localhost:1/none")
    node.extra["PGCONNECT_TIMEOUT"] = "1"
    script = "from django.test import Client; print([Client().get(p).status_code for p in ('/healthz', '/readyz')])"
    assert node.manage("shell", "--verbosity", "0", "-c", script).stdout.strip() == "[200, 503]"


def test_a_check_that_breaks_has_failed(settings: Settings) -> None:
    """An error inside a readiness check is a reason, never a 500."""
    settings.READY_CHECKS = ["edgecms.health.no_such_check"]
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"][0]["check"] == "no_such_check"


def test_healthz_names_the_replica_without_a_database() -> None:
    """/healthz answers without any query: pytest-django refuses one here."""
    answer = Client().get("/healthz")
    assert answer.json() == {"status": "ok", "replica": "MASTER01-LON", "role": "master", "version": "0.1.0"}
    assert answer["Cache-Control"] == "no-store"


def test_metrics_count_requests_by_view_and_not_by_path() -> None:
    """A scan of addresses that do not exist makes one series, not one for each."""
    client = Client()
    for path in ("/admin/nothing-1", "/admin/nothing-2"):
        client.get(path)
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("edgecms_requests_total")]
    assert lines
    assert not any("nothing-" in line for line in lines)

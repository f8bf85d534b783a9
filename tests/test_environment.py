"""A wrong setting stops the start, by real processes; a right one is understood."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edgecms.environment import read

TOP = Path(__file__).resolve().parent.parent

WRONG = [
    ("EDGECMS_NODE", "edge07", "1 to 16 of A-Z and 0-9, a letter first"),
    ("EDGECMS_NODE", "", "1 to 16 of A-Z and 0-9, a letter first"),
    ("EDGECMS_LOC", "L", "2 to 8 of A-Z and 0-9"),
    ("EDGECMS_ROLE", "leader", "master, node or edge"),
    ("EDGECMS_FARM", "the thames", "or leave it empty"),
    ("EDGECMS_DATA", "/dev/null/data", "a folder that this account may make or write"),
    ("EDGECMS_URL", "edge01.example.org", "an address without a path"),
    ("EDGECMS_URL", "https://example.org/site", "an address without a path"),
    ("EDGECMS_URL", "http://localhost:80o0", "an address without a path"),
    ("EDGECMS_URL", "http://a b", "an address without a path"),
    ("EDGECMS_SYNC_INTERVAL", "1_0", "seconds, more than 0"),
    ("DATABASE_URL", "mysql://localhost/site", "postgres://user:password@host:port/name"),
    ("DATABASE_URL", "postgres://localhost", "postgres://user:password@host:port/name"),
    ("REDIS_URL", "localhost:6379", "redis://host:port/number"),
    ("REDIS_URL", "redis://localhost:6379/first", "redis://host:port/number"),
    ("REDIS_URL", "redis://localhost:6379/0?socket_timeout=soon", "redis://host:port/number"),
    ("REDIS_URL", "redis://localhost:6379/0?db=one", "redis://host:port/number"),
    ("REDIS_URL", "redis://localhost:6379/0?speed=high", "redis://host:port/number"),
    ("EDGECMS_SYNC_INTERVAL", "0", "seconds, more than 0"),
    ("EDGECMS_SYNC_INTERVAL", "half an hour", "seconds, more than 0"),
    ("EDGECMS_MAX_CLOCK_DRIFT", "nan", "seconds, more than 0"),
    ("DEBUG", "maybe", "1, true, yes, on or 0, false, no, off"),
    ("ALLOWED_HOSTS", "https://example.org", "host names without scheme"),
    ("CSRF_TRUSTED_ORIGINS", "example.org", "addresses such as https://example.org"),
]


def start(program: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these settings and no others, until it ends."""
    env = {"PATH": os.environ["PATH"], "EDGECMS_DATA": str(folder / "data"), **settings}
    return subprocess.run(program, env=env, cwd=TOP, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("variable", "value", "accepted"), WRONG)
def test_wrong_value_stops_the_check(tmp_path: Path, variable: str, value: str, accepted: str) -> None:
    """The check names the variable, the value and what is accepted, and nothing is made on disk."""
    done = start([sys.executable, "manage.py", "check"], tmp_path, **{variable: value})
    assert done.returncode == 1
    assert f"(edgecms.E001) {variable} is {value!r}, which is not accepted." in done.stderr
    assert accepted in done.stderr
    assert not (tmp_path / "data" / "secret.key").exists()


def test_all_wrong_values_are_named_at_once(tmp_path: Path) -> None:
    """Two mistakes are reported together, so that one start is enough to mend both."""
    done = start([sys.executable, "manage.py", "check"], tmp_path, EDGECMS_ROLE="boss", EDGECMS_LOC="-")
    assert "EDGECMS_ROLE is 'boss'" in done.stderr
    assert "EDGECMS_LOC is '-'" in done.stderr


@pytest.mark.parametrize("command", [["import_pages", "docs"], ["sync_status"], ["sync_worker"]], ids=lambda words: words[0])
def test_a_command_before_migrate_says_in_a_line_and_in_an_object_what_to_run(tmp_path: Path, command: list[str]) -> None:
    """Whoever reads ``--json`` reads why, whatever the command; people get one line and no traceback."""
    done = start([sys.executable, "manage.py", *command, "--json"], tmp_path)
    (line,) = done.stderr.splitlines()
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1
    assert line == f"{error['code']}: {error['detail']}" and line.endswith("run: manage.py migrate")


@pytest.mark.parametrize("preload", [True, False])
def test_wrong_value_stops_gunicorn(tmp_path: Path, preload: bool) -> None:
    """gunicorn ends with the text of the check instead of trying again for ever, with and without preloading."""
    config = tmp_path / "own.conf.py"
    config.write_text(f"{(TOP / 'gunicorn.conf.py').read_text()}\npreload_app = {preload}\n")
    gunicorn = [
        str(Path(sys.executable).with_name("gunicorn")),
        "--config",
        str(config),
        "--bind",
        "127.0.0.1:0",
        "edgecms.wsgi",
    ]
    done = start(gunicorn, tmp_path, EDGECMS_ROLE="boss")
    # Without preloading the arbiter sees a worker end while it starts another, and may leave by the traceback of its own halt.
    assert done.returncode in ((4,) if preload else (4, 1))
    assert "EDGECMS_ROLE is 'boss', which is not accepted." in done.stderr
    assert "Set EDGECMS_ROLE to master, node or edge." in done.stderr


def test_loading_the_application_opens_no_connection_and_no_thread(tmp_path: Path) -> None:
    """gunicorn forks after loading: workers must not share a connection, and a thread would be lost."""
    script = (
        "import edgecms.wsgi, threading; from django.db import connection as c; print(c.connection, threading.active_count())"
    )
    assert start([sys.executable, "-c", script], tmp_path).stdout.strip() == "None 1"


def test_wrong_value_stops_migrate(tmp_path: Path) -> None:
    """No table is made under a wrong name."""
    done = start([sys.executable, "manage.py", "migrate"], tmp_path, EDGECMS_NODE="edge07")
    assert done.returncode == 1
    assert "EDGECMS_NODE is 'edge07'" in done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "db.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_password_is_not_repeated() -> None:
    """A refused address is named without the password in it."""
    (mistake,) = read({"DATABASE_URL": "mysql://site:hunter2@db/site"}).mistakes
    assert mistake.value == "mysql://site:***@db/site"


def test_defaults_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set means a master on SQLite, without Redis, that sweeps every half hour."""
    monkeypatch.chdir(tmp_path)
    found = read({})
    assert (found.name, found.role, found.farm) == ("MASTER01-LOC", "master", "")
    assert (found.data, found.url) == (tmp_path / "data", "http://localhost:8000")
    assert (found.database_url, found.redis_url) == ("", "")
    assert (found.sync_interval, found.max_clock_drift, found.debug) == (1800, 300, False)
    assert (found.secret_key, found.mistakes) == ("", ())


def test_hosts_and_origins_follow_the_address() -> None:
    """EDGECMS_URL is enough for a replica to answer under its own name."""
    found = read({"EDGECMS_URL": "https://edge01.example.org:8443/"})
    assert found.url == "https://edge01.example.org:8443"
    assert found.allowed_hosts == ["edge01.example.org", "localhost", "127.0.0.1", "[::1]"]
    assert found.csrf_trusted_origins == ["https://edge01.example.org:8443"]


def test_secret_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Two starts share one generated key, which nobody else can read; a given one is used as it is."""
    show = [sys.executable, "-c", "from edgecms.settings import SECRET_KEY; print(SECRET_KEY)"]
    first, second = start(show, tmp_path).stdout.strip(), start(show, tmp_path).stdout.strip()
    assert first == second
    assert len(first) > 50
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert start(show, tmp_path, SECRET_KEY="given").stdout.strip() == "given"

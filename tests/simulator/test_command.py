"""``manage.py sync_simulate``, as a site owner runs it: what it prints, how it ends, on both databases and with models of one's own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from sync.simulator.runs import run_seed
from sync.simulator.script import Script, Step
from tests.servers import PostgreSQL
from tests.simulator.bugs import BUGS

TOP = Path(__file__).resolve().parents[2]
KEYS = ["database", "seeds", "first", "last", "steps", "exchanges", "faults", "seconds", "failed"]
MISTAKE, SEEDS = BUGS["over_is_nothing"], 25  # within so many it is found


def manage(folder: Path, *args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py sync_simulate`` in a process of its own, for a site with these settings."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "EDGECMS_DATA": str(folder / "data"), **settings}
    command = [sys.executable, "manage.py", "sync_simulate", *args]
    return subprocess.run(command, env=env, cwd=TOP, capture_output=True, text=True, timeout=200)


@pytest.fixture
def called(django_db_blocker) -> Iterator[object]:
    """Calls the command in this process, where a mistake can be planted; gives status, output and errors."""

    def call(*args: object) -> tuple[int, str, str]:
        out, err, status = StringIO(), StringIO(), 0
        try:
            call_command("sync_simulate", *map(str, args), stdout=out, stderr=err)
        except SystemExit as leaving:
            status = int(str(leaving.code))
        return status, out.getvalue(), err.getvalue()

    with django_db_blocker.unblock():
        yield call
    logging.disable(logging.NOTSET)  # which the command had silenced for its process


def test_it_prints_what_went_through_as_one_object(tmp_path):
    """The documented keys, and status 0 where every promise was kept; the data of the replica itself is not touched."""
    done = manage(tmp_path, "--seeds", "2", "--start", "7", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    assert (found["database"], found["seeds"], found["first"], found["last"], found["failed"]) == ("sqlite", 2, 7, 8, [])
    assert found["steps"] >= 2 * 13 and found["exchanges"] > 0 and found["seconds"] > 0
    assert all(isinstance(count, int) and count > 0 for count in found["faults"].values()) and found["faults"]
    assert not (tmp_path / "data" / "db.sqlite3").exists()


def test_a_broken_promise_is_told_with_its_seed_and_the_shortest_script_which_fails_again(called, stores, tmp_path):
    """Status 1. The script, written to a file, fails alike with ``--script``, and breaks no promise once the mistake is mended."""
    with MISTAKE.planted():
        found = next(outcome for seed in range(1, SEEDS) if (outcome := run_seed(seed, stores)).failed)
        seed = found.script.seed
        status, out, err = called("--start", seed, "--seeds", 1)
        assert status == 1
        head, _, script = err.partition("the shortest script (manage.py sync_simulate --script FILE runs it again):\n")
        assert head.startswith(f"seed {seed} fails: ") and "what happened:" in head
        assert 0 < len(Script.decode(script).steps) < len(found.script.steps)
        assert out.startswith("1 seeds on sqlite: ") and "; 1 failed" in out.splitlines()[0]
        file = tmp_path / "failure.jsonl"
        file.write_text(script)
        status, out, err = called("--script", file, "--json")
        assert status == 1 and err.startswith(head)
        (failed,) = json.loads(out)["failed"]
        assert (failed["seed"], failed["script"]) == (seed, script.strip()) and failed["error"] in head
    status, out, err = called("--script", file)
    assert status == 0 and f"seed {seed} breaks no promise" in err and "; 0 failed" in out.splitlines()[0]


def test_the_summary_for_people_is_a_line_of_figures_and_one_of_faults(called):
    """Seeds, database, steps, exchanges, faults and seconds; then each kind of fault and how often it happened."""
    status, out, _ = called("--seeds", 1, "--start", 2)
    figures = json.loads(called("--seeds", 1, "--start", 2, "--json")[1])
    total, faults = out.splitlines()
    assert status == 0
    assert total.startswith(f"1 seeds on sqlite: {figures['steps']} steps, {figures['exchanges']} exchanges, ")
    assert f" {sum(figures['faults'].values())} faults in " in total and total.endswith(" s; 0 failed")
    assert faults == ", ".join(f"{kind} {count}" for kind, count in figures["faults"].items())


@pytest.mark.parametrize("content", [None, "buy tea", '{"seed": 1}'], ids=["absent", "text", "half"])
def test_what_is_no_script_is_refused(called, tmp_path, content):
    """It is named, and the status is 2, which is usage."""
    file = tmp_path / "notes.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError, match=f"{file} is no script as a failure prints it") as refused:
        called("--script", file)
    assert refused.value.returncode == 2


@pytest.mark.postgresql
def test_it_runs_on_postgresql_in_databases_of_its_own(postgresql_server: PostgreSQL, tmp_path):
    """The one that ``DATABASE_URL`` names stays empty, and none of those that it made is left."""

    def databases() -> list[tuple[object, ...]]:
        with postgresql_server.connect() as connection:
            return connection.execute("SELECT datname FROM pg_database ORDER BY datname").fetchall()

    url, before = postgresql_server.database(), databases()
    done = manage(tmp_path, "--seeds", "8", "--json", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert (found["database"], found["seeds"], found["failed"]) == ("postgresql", 8, [])
    assert databases() == before
    with postgresql_server.connect(urlsplit(url).path[1:]) as connection:
        assert connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchall() == []


def test_it_runs_with_the_models_of_any_app(tmp_path):
    """A site with an app of its own: rows of its models are made, edited and deleted, and every promise holds for them.

    Also where a field is called otherwise in ops, as ``hue`` in this release, which was ``colour`` in others.
    """
    kinds = ["create"] * 12 + ["exchange"] * 3 + ["save"] * 12 + ["update"] * 4 + ["two_tabs"] * 2 + ["delete"] * 3
    script = Script(1, 0, tuple(Step(n, do, n % 3, 20, (n + 1) % 3) for n, do in enumerate(kinds, 1)))
    (tmp_path / "garden.jsonl").write_text(script.encode())
    site = {"DJANGO_SETTINGS_MODULE": "tests.upgrade.settings", "GARDEN_RELEASE": "3"}
    done = manage(tmp_path, "--script", str(tmp_path / "garden.jsonl"), **site)
    assert done.returncode == 0 and "breaks no promise" in done.stderr, done.stderr[-3000:]
    for deed in ("makes garden.plant", "makes garden.bed", "saves garden.plant", "colour", "deletes garden."):
        assert deed in done.stderr, f"no step {deed}"

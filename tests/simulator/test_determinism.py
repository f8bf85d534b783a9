"""One seed decides everything."""

import subprocess
import sys
from pathlib import Path

from sync.simulator.runs import run
from sync.simulator.script import Script, generate

ELSEWHERE = """
import os, django, logging
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
logging.disable(logging.CRITICAL)
from sync.simulator.runs import run
from sync.simulator.script import generate
from sync.simulator.stores import SqliteStores
stores = SqliteStores()
stores.migrate()
for seed in (7, 8, 9):
    print("\\n".join(run(generate(seed), stores).trace))
"""


def test_the_same_seed_gives_the_same_trace(stores):
    """Twice in one process, though databases, folders and caches are others."""
    for seed in (1, 2, 3):
        once, again = run(generate(seed), stores), run(generate(seed), stores)
        assert once.trace == again.trace
        assert "digest" in once.trace[-1]


def test_the_same_seed_gives_the_same_trace_in_another_process(stores):
    """Also where Python hashes texts in another way."""
    here = "\n".join("\n".join(run(generate(seed), stores).trace) for seed in (7, 8, 9))
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env={"PYTHONHASHSEED": "7"})
    assert done.stdout.strip() == here, done.stderr[-2000:]


def test_a_run_leaves_nothing_in_the_folder_that_it_is_started_in(stores, tmp_path, monkeypatch):
    """Its databases are in memory, and what belongs to its replicas is gone with it."""
    monkeypatch.chdir(tmp_path)
    run(generate(1), stores)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_another_trace(stores):
    """Or all of this would be one run."""
    assert run(generate(1), stores).trace != run(generate(2), stores).trace


def test_a_script_is_read_back_as_it_was():
    """What a failure prints is the run."""
    script = generate(11)
    assert Script.decode(script.encode()) == script

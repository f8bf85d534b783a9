"""The process from which the tests of crashes start programs: its children can be killed at any moment, and none outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import group_lives
from deploy.local.replica import TOP
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import LINES, Zygote, children

pytestmark = pytest.mark.cluster

FOR_EVER = "import signal\nwhile True: signal.pause()"  # until it is killed
OWNER = """
import json, sys, pathlib
from tests.cluster.harness import Cluster
from tests.cluster.zygote import LINES, Zygote
cluster = Cluster(pathlib.Path(sys.argv[1]))
zygote = Zygote(cluster.make("EDGE01", "edge", farm="thames")).__enter__()
log = pathlib.Path(sys.argv[1]) / "log"
pids = [zygote.start(LINES, program, log=log) for program in json.loads(sys.argv[2])]
print(json.dumps([zygote._child.pid, *pids]), flush=True)
zygote.wait(pids[0])
"""


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    """The loaded process of an edge."""
    with Cluster(tmp_path) as cluster, Zygote(cluster.make("EDGE01", "edge", farm="thames")) as zygote:
        yield zygote


def test_what_was_started_can_be_killed_at_once(zygote: Zygote) -> None:
    """Whoever is told of a process finds its group: a kill that finds none would wait for a server that never ends."""
    for _ in range(200):
        pid = zygote.start(LINES, FOR_EVER)
        os.killpg(pid, signal.SIGKILL)  # raises ProcessLookupError where there is no such group
        assert zygote.wait(pid) == -signal.SIGKILL


def test_nothing_outlives_an_owner_that_is_killed_while_it_waits(tmp_path: Path) -> None:
    """The process itself, what it has started, and what these have started in groups of their own, all end."""
    forks = f"import os\nif not os.fork(): os.setsid()\n{FOR_EVER}"
    command = [sys.executable, "-c", OWNER, str(tmp_path), json.dumps([FOR_EVER, forks])]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        zygote, *pids = json.loads(owner.stdout.readline())
        forked = eventually(lambda: children(pids[1]))
        owner.kill()
    eventually(lambda: [pid for pid in (zygote, *pids, *forked) if group_lives(pid)] == [])

"""``migrate`` from the first release to the third, of a replica that is full: killed, or without room, and brought to its end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.cluster.disk import Disk
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import LINES, MANAGE, Zygote
from tests.servers import PostgreSQL

pytestmark = pytest.mark.cluster

KILLS = int(os.environ.get("EDGECMS_MIGRATE_KILLS", "10"))
MIGRATE = ("migrate", "--verbosity", "0")
DONOR = """
from django.db import transaction
from tests.upgrade import agent
for start in range(0, 400, 20):
    with transaction.atomic():
        for number in range(start, start + 20):
            plant = agent.create("plant", title=f"Plant {number}", hue="blue", soil="wet", height=number)
            if number % 4 == 0:
                agent.create("bed", title=f"Bed {number}", plant_id=plant)
agent.trust("EDGE01-LON", "edge", "thames", key)
answer = [agent.me(), agent.give([])]
"""
FILL = """
from django.db import transaction
from tests.upgrade import agent
agent.trust(master["name"], master["role"], "", master["key"])
with transaction.atomic():
    for number in range(200):
        agent.create("plant", title=f"Own {number}", colour="red", notes="thorns")
agent.take(stream)
answer = agent.state()
"""
LOOK = """
from tests.upgrade import agent
answer = [agent.state(), agent.rows("plant", "title", "tags", "hue", "height", "soil"), agent.rows("bed", "title", "plant_id")]
"""
KEY = "from sync import keys\nanswer = keys.public_text()"
WHY = "from edgecms import health\nanswer = health.migrated()"
KILLED_AT_THE_LAST_STEP = """
import os, signal
from django.core.management import call_command
from sync import upgrades
upgrades.adopt = lambda: os.kill(os.getpid(), signal.SIGKILL)
call_command("migrate", verbosity=0)
"""


class Old(NamedTuple):
    """A replica whose database is of the first release and full, with the third one installed. ``put_back`` makes it so again."""

    zygote: Zygote
    put_back: Callable[[], None]
    whole: Any  # what ``LOOK`` finds after a migrate that nothing disturbed


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Zygote, Cluster]]:
    """A master in the third release, migrated."""
    with Cluster(tmp_path_factory.mktemp("upgrade"), DJANGO_SETTINGS_MODULE="tests.upgrade.settings") as cluster:
        cluster.extra["GARDEN_RELEASE"] = "3"
        with Zygote(cluster.make("MASTER01", "master")) as zygote:
            zygote.must(*MIGRATE)
            yield zygote, cluster


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def old(
    request: pytest.FixtureRequest, donor: tuple[Zygote, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Old]:
    """See ``Old``."""
    master, cluster = donor
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    replica = cluster.make("EDGE01", "edge", farm="thames", database_url=server.database() if server else "")
    replica.folder = tmp_path_factory.mktemp(request.param) / "edge01"
    replica.extra["GARDEN_RELEASE"] = "1"
    with Zygote(replica) as first:
        first.must(*MIGRATE)
        about, stream = master.answer(DONOR, key=first.answer(KEY))
        before = first.answer(FILL, master=about, stream=stream)
        assert before["deferred"] >= 400 and before["quarantined"] == 0
    put_back = keep(replica.folder, server, replica.database_url)
    replica.extra["GARDEN_RELEASE"] = "3"
    with Zygote(replica) as zygote:
        zygote.must(*MIGRATE)
        whole = zygote.answer(LOOK)
        assert whole[0] == {**before, "deferred": 0, "waiting": []} and len(whole[1]) >= 600 and len(whole[2]) >= 100
        yield Old(zygote, put_back, whole)


def keep(folder: Path, server: PostgreSQL | None, url: str) -> Callable[[], None]:
    """Keep what a replica is now, and return what puts it back."""
    kept, name = folder.with_name("kept"), urlsplit(url).path[1:]

    def copy(there: str, here: str) -> bool:
        if server is not None:
            with server.connect() as connection:
                connection.execute("SET statement_timeout = '5s'")  # it was seen to wait for ever, once in a hundred times
                connection.execute(f"DROP DATABASE IF EXISTS {here} WITH (FORCE)".encode())
                connection.execute(f"CREATE DATABASE {here} TEMPLATE {there}".encode())
        return True

    def put_back() -> None:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        eventually(lambda: copy(f"{name}_kept", name))

    shutil.copytree(folder, kept)
    eventually(lambda: copy(name, f"{name}_kept"))
    return put_back


def test_migrate_of_a_full_replica_survives_kill_9(old: Old) -> None:
    """Killed at random moments and run again it comes to the same end; what starts in between says that it has to be run."""
    zygote, seed = old.zygote, random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, killed, at_work = random.Random(seed), 0, 0
    old.put_back()
    began = time.monotonic()
    zygote.must(*MIGRATE)
    usual = time.monotonic() - began
    old.put_back()
    while killed < KILLS or not at_work:
        pid = zygote.start(MANAGE, *MIGRATE)
        if killed % 2:
            eventually(lambda pid=pid: zygote.has_committed(pid) or zygote.has_ended(pid), pause=0.002)
        time.sleep(chance.uniform(0, usual))
        at_work += zygote.has_committed(pid) and not zygote.has_ended(pid)
        if zygote.kill(pid) == -signal.SIGKILL:
            killed += 1
            why = zygote.answer(WHY)
            assert "run: manage.py migrate" in why if why else zygote.answer(LOOK) == old.whole
        else:
            assert zygote.answer(LOOK) == old.whole
            old.put_back()
    zygote.must(*MIGRATE)
    assert zygote.answer(LOOK) == old.whole and zygote.answer(WHY) == ""


def test_what_starts_after_half_a_migrate_says_so(old: Old) -> None:
    """All migrations are noted as applied, and rows do not show yet what had come: no server is ready, worker and commands refuse."""
    old.put_back()
    assert old.zygote.run(LINES, KILLED_AT_THE_LAST_STEP) == -signal.SIGKILL
    web = old.zygote.web()
    answer = eventually(lambda: old.zygote.replica.get("/readyz"))
    assert answer.status_code == 503 and "run: manage.py migrate" in answer.text
    for command in ("sync_worker", "sync_pull"):
        refused = old.zygote.report(command)
        assert refused.code == 1 and "run: manage.py migrate" in refused.stderr and "Traceback" not in refused.stderr
    old.zygote.must(*MIGRATE)
    eventually(lambda: old.zygote.replica.get("/readyz").status_code == 200)
    old.zygote.kill(web)
    assert old.zygote.answer(LOOK) == old.whole


def test_migrate_of_a_full_replica_on_a_full_disk_is_refused_in_words(old: Old) -> None:
    """It says who has to act, is no traceback, and with room it comes to its end."""
    if old.zygote.replica.database_url:
        pytest.skip("a PostgreSQL has disks of its own, see tests/cluster/test_full_disk_postgresql.py")
    with ExitStack() as stack:
        disk = stack.enter_context(Disk(old.zygote.replica.folder, 64 << 20))
        old.put_back()
        disk.fill(leave=64 << 10)
        refused = old.zygote.report(*MIGRATE)
        assert refused.code == 1 and "not_writable" in refused.stderr and "Traceback" not in refused.stderr, refused.stderr
        disk.make_room()
        assert "run: manage.py migrate" in old.zygote.answer(WHY)
        old.zygote.must(*MIGRATE)
        assert old.zygote.answer(LOOK) == old.whole

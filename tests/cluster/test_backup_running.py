"""Backups of a replica that is being written, by real processes: what was acknowledged before one began is in it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster, eventually
from tests.cluster.witness import WRITER
from tests.cluster.zygote import LINES, MANAGE, Zygote
from tests.servers import PostgreSQL, free_port

pytestmark = pytest.mark.cluster

HELD = """
from content.models import Asset, Section
from sync import blobs, local, registers
descriptions = dict(Section.objects.values_list("token", "description"))
assets = {token: digest for token, digest in Asset.objects.values_list("token", "digest") if blobs.has(digest)}
absent = Asset.objects.count() - len(assets)
answer = [descriptions, assets, absent, local.state().incarnation, registers.digest()]
"""
# Enough media that copying them takes a while, in which rows with new ones are written.
MANY = """
import io, os
from content.models import Asset
from sync import blobs
for number in range(40):
    digest, size = blobs.put(io.BytesIO(os.urandom(1 << 20)))
    Asset.objects.create(title="Large", filename="f.bin", digest=digest, size=size, content_type="application/x")
answer = None
"""
WRITE = "from content.models import Section\nanswer = Section.objects.create(title=title).token"
# What a killed restore has left, once a program that runs on the folder has cleared what is nobody's.
LEFT = """
from pathlib import Path
from django.db import connection
from sync import conf, leftovers
leftovers.clear()
database = Path(connection.settings_dict["NAME"])
kept = [path for path in conf.data().glob("before-restore-*/*") if database.exists() and path.samefile(database)]
found = [*conf.data().glob("restore-*"), *conf.data().glob("restore.unfinished"), *conf.data().glob(".*.restored"), *kept]
answer = [path.name for path in found]
"""
KEY = "from sync import keys\nanswer = keys.public_text()"
KILLED_BEFORE_THE_DATABASE = """
import os, signal
from django.core.management import call_command
from sync.backup import restoring
restoring._replace_database = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
call_command("restore", argv[0], "--force")
"""
KILLS = 8


@dataclass
class Pair:
    """A replica that is written, and a machine on which its backups are restored, under the same name."""

    original: Zygote
    restored: Zygote


def pair(stack: ExitStack, folder: Path, *urls: str) -> Pair:
    """Return a pair; ``urls``: databases on a server."""
    cluster = stack.enter_context(Cluster(folder))
    one = cluster.make("EDGE01", "edge", "thames", database_url=urls[0] if urls else "")
    other = replace(one, folder=folder / "elsewhere", port=free_port(), database_url=urls[1] if urls else "")
    found = Pair(*(stack.enter_context(Zygote(replica)) for replica in (one, other)))
    found.original.must("migrate", "--verbosity", "0")
    if urls:
        found.restored.must("migrate", "--verbosity", "0")
    return found


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Pair]:
    """A pair on SQLite."""
    with ExitStack() as stack:
        yield pair(stack, tmp_path)


@pytest.fixture
def servers(tmp_path: Path, postgresql_server: PostgreSQL) -> Iterator[Pair]:
    """A pair on PostgreSQL."""
    with ExitStack() as stack:
        yield pair(stack, tmp_path, postgresql_server.database(), postgresql_server.database())


def acknowledged(log: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return what the writer has printed: the last number of each description, and each file, by token."""
    descriptions: dict[str, int] = {}
    assets: dict[str, str] = {}
    for line in log.read_text().splitlines(keepends=True):
        match line.split() if line.endswith("\n") else []:
            case ["section", token]:
                descriptions[token] = -1
            case ["description", token, number]:
                descriptions[token] = int(number)
            case ["asset", token, digest]:
                assets[token] = digest
    return descriptions, assets


def assert_backups_are_whole(found: Pair, folder: Path) -> None:
    """Make three backups while two processes write; restore each and find in it all that was acknowledged before it began."""
    found.original.answer(MANY)
    logs = [folder / f"writer-{number}.log" for number in (1, 2)]
    writers = [found.original.start(LINES, WRITER, log=log) for log in logs]
    for log in logs:
        eventually(lambda log=log: log.exists() and len(acknowledged(log)[1]) >= 2, timeout=60)
    origins = set()
    for number in range(3):
        before = [acknowledged(log) for log in logs]
        target = folder / f"{number}.tar.zst"
        found.original.must("backup", str(target))
        found.restored.must("restore", str(target), *(["--force"] if number else []))
        descriptions, assets, absent, origin, _ = found.restored.answer(HELD)
        assert absent == 0, "the copy has rows whose files it has not"
        for counts, files in before:
            assert all(int((descriptions[token].split() or ["text", "-1"])[1]) >= last for token, last in counts.items())
            assert files.items() <= assets.items()
        origins.add(origin)
    for pid in writers:
        assert not found.original.has_ended(pid), "a writer was stopped by a backup"
        found.original.kill(pid)
    assert len(origins | {found.original.answer(HELD)[3]}) == 4, "each restored database has an incarnation of its own"


def test_a_backup_has_everything_that_was_acknowledged_before_it(files: Pair, tmp_path: Path) -> None:
    """On SQLite, with two writers going on; rows and the media that they name."""
    assert_backups_are_whole(files, tmp_path)


@pytest.mark.postgresql
def test_the_same_on_postgresql(servers: Pair, tmp_path: Path) -> None:
    """All tables of one moment, without programs of the server."""
    assert_backups_are_whole(servers, tmp_path)


def test_a_backup_that_is_killed_is_none(files: Pair, tmp_path: Path) -> None:
    """Under its name stands a whole file or nothing."""
    folder, dice = tmp_path / "backups", random.Random(3)
    folder.mkdir()
    files.original.answer(WRITE, title="Kept")
    began = time.monotonic()
    files.original.must("backup", str(folder / "whole"))
    usual = time.monotonic() - began
    for number in range(KILLS):
        pid = files.original.start(MANAGE, "backup", str(folder / f"{number}.tar.zst"))
        time.sleep(dice.uniform(0, usual))
        files.original.kill(pid)
    for file in [file for file in folder.iterdir() if not file.name.startswith(".")]:
        files.restored.must("restore", str(file), "--force")
    assert len(files.restored.answer(HELD)[0]) == 1


def test_a_restore_that_is_killed_leaves_the_old_or_the_new(files: Pair, tmp_path: Path) -> None:
    """Killed at any moment, the replica has what it had or what the backup has, and starts; the next restore ends what was begun."""
    dice, target = random.Random(4), tmp_path / "backup"
    files.original.answer(WRITE, title="In the backup")
    files.original.must("backup", str(target))
    began = time.monotonic()
    files.restored.must("restore", str(target))
    usual = time.monotonic() - began
    new = files.restored.answer(HELD)[4]
    for number in range(KILLS):
        files.restored.answer(WRITE, title=f"Number {number}")
        old = files.restored.answer(HELD)[4]
        pid = files.restored.start(MANAGE, "restore", str(target), "--force")
        time.sleep(dice.uniform(0, usual))
        files.restored.kill(pid)
        assert files.restored.answer(HELD)[4] in (old, new)
        assert files.restored.answer(LEFT) == []
    files.restored.must("restore", str(target), "--force")
    assert files.restored.answer(HELD)[4] == new
    assert not list(files.restored.replica.folder.glob("restore-*"))


def test_a_restore_that_is_killed_between_key_and_database_says_what_to_do(files: Pair, tmp_path: Path) -> None:
    """The key in place belongs to no database here, and every peer would refuse it: so nothing starts until it is run again."""
    target = tmp_path / "backup"
    files.original.must("backup", str(target))
    files.restored.must("migrate", "--verbosity", "0")
    files.restored.answer(WRITE, title="Under another key")
    key = files.restored.answer(KEY)
    log = tmp_path / "log"
    assert files.restored.run(LINES, KILLED_BEFORE_THE_DATABASE, str(target), log=log) == -signal.SIGKILL, log.read_text()
    for command in ("sync_status", "sync_worker"):
        refused = files.restored.report(command)
        assert refused.code == 1 and "run it again" in refused.stderr and f"restore {target} --force" in refused.stderr
        assert "Traceback" not in refused.stderr
    files.restored.must("restore", str(target), "--force")
    files.restored.must("sync_status")
    assert files.restored.answer(KEY) == files.original.answer(KEY) != key
    assert files.restored.answer(LEFT) == []


def test_nothing_is_restored_under_a_running_web_server(files: Pair, tmp_path: Path) -> None:
    """A restore is refused while gunicorn or sync_worker runs; afterwards it is done."""
    target = tmp_path / "backup"
    files.original.must("backup", str(target))
    files.restored.must("restore", str(target))
    replica = files.restored.replica
    web = files.restored.web()
    eventually(lambda: replica.why_not_ready() == "", timeout=60)
    assert files.restored.run(MANAGE, "restore", str(target), "--force") == 1
    files.restored.kill(web)
    worker = files.restored.start(MANAGE, "sync_worker")
    eventually(lambda: "exchanges every" in (replica.folder / "sync_worker.log").read_text(), timeout=60)
    assert files.restored.run(MANAGE, "restore", str(target), "--force") == 1
    files.restored.kill(worker)
    files.restored.must("restore", str(target), "--force")

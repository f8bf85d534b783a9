"""Backups: whole or not at all, of one moment; put back whole or not at all; and no number is given out twice afterwards."""

import io
import json
import os
import resource
import shutil
import sqlite3
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections

from content.models import Asset, Section
from content.pagecache import stale
from content.pagecache.folder import file_of
from sync import blobs, conf, keys, lease, local, log, registers
from sync.backup import archive, making, restoring
from sync.core.errors import NeedsOperatorError
from tests.sync.origins import rows

pytestmark = pytest.mark.django_db(transaction=True)
is_file = connection.vendor == "sqlite"


def ignore(count: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture(autouse=True)
def clean():
    """Each test begins without media, and leaves nothing aside."""
    shutil.rmtree(conf.data() / "media", ignore_errors=True)
    yield
    connections.close_all()
    for folder in conf.data().glob("before-restore-*"):
        shutil.rmtree(folder)


@pytest.fixture
def target(tmp_path):
    """Where a backup is to be made."""
    return tmp_path / "backup.tar.zst"


def asset(content: bytes) -> Asset:
    """Keep a file and write the row that names it."""
    digest, size = blobs.put(io.BytesIO(content))
    return Asset.objects.create(title="File", filename="f.bin", digest=digest, size=size, content_type="application/x")


def restore(source: Path, force: bool = True) -> dict[str, object]:
    """Restore here."""
    return restoring.restore(source, force, ignore)


@contextmanager
def at_most(size: int):
    """Let no file grow beyond ``size`` bytes within the block: a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_backed_up_is_restored(target):
    """Rows, log, media and key are as they were; what was written later is gone from the rows, and its number is not reused."""
    Section.objects.create(title="Kept")
    picture = asset(b"a picture" * 1000)
    before, digest, key = rows(), registers.digest(), keys.path().read_bytes()
    report = making.make(target, ignore)
    assert (report["media"], report["damaged"], report["replica"]) == (1, [], conf.name())
    later = Section.objects.create(title="Later")
    lost = [changeset for _, changeset in log.scan()][-1]
    blobs.path(picture.digest).unlink()
    found = restore(target)
    assert (rows(), registers.digest(), keys.path().read_bytes()) == (before, digest, key)
    assert not Section.objects.filter(pk=later.pk).exists()
    assert blobs.path(picture.digest).read_bytes() == b"a picture" * 1000
    assert found["origin"] == f"{conf.name()}.{local.state().incarnation}" != report["origin"]
    Section.objects.create(title="After")
    assert [c for _, c in log.scan()][-1].head.chain != lost.head.chain


def test_pages_that_were_rendered_before_are_not_shown(target):
    """They show what is no longer in the database."""
    making.make(target, ignore)
    pages = stale.folder()
    pages.keep("/news/later", pages.epoch(), "text/html", [], b"Later")
    assert pages.keep("/news/later", pages.epoch(), "text/html", [], b"Later")
    assert (pages.root / file_of("/news/later")).exists()
    restore(target)
    assert not (pages.root / file_of("/news/later")).exists()


def test_the_file_is_for_its_owner_only_and_so_are_restored_keys(target):
    """It holds the private key."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    assert target.stat().st_mode & 0o777 == 0o600
    kept = keys.path().read_bytes()
    keys.path().unlink()
    restore(target)
    assert keys.path().read_bytes() == kept
    assert keys.path().stat().st_mode & 0o777 == 0o600


def test_a_copy_says_that_it_is_one(target, tmp_path):
    """However the database gets out of the file and to its place, by hand or by restore: a new incarnation follows."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    archive.unpack(target, tmp_path / "out", ignore)
    if is_file:
        with sqlite3.connect(tmp_path / "out" / "database.sqlite3") as copy:
            assert copy.execute("SELECT place FROM sync_local").fetchone() == ("a copy",)
    else:
        restore(target)
        assert local.state().place.startswith("server")


def test_a_backup_never_replaces_a_file(target):
    """Neither another backup nor anything else."""
    target.write_text("something")
    with pytest.raises(NeedsOperatorError, match="is there already"):
        making.make(target, ignore)
    assert target.read_text() == "something"
    with pytest.raises(NeedsOperatorError, match="there is no folder"):
        making.make(target.parent / "absent" / "backup.tar.zst", ignore)


def test_content_is_not_replaced_without_force(target):
    """A slip of the operator costs nothing; with --force what was there is kept aside."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    Section.objects.create(title="Later")
    with pytest.raises(NeedsOperatorError, match="--force"):
        restore(target, force=False)
    assert Section.objects.filter(title="Later").exists()
    aside = restore(target)["aside"]
    assert not Section.objects.filter(title="Later").exists()
    if is_file:
        [file] = [path for path in Path(str(aside)).glob("*.sqlite3*") if not path.name.endswith(("-wal", "-shm"))]
        with sqlite3.connect(file) as kept:
            found = kept.execute("SELECT title FROM content_section ORDER BY title").fetchall()
    else:
        with connection.cursor() as cursor:
            schema = str(aside).removeprefix("schema ")
            cursor.execute(f"SELECT title FROM {schema}.content_section ORDER BY title")
            found = cursor.fetchall()
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
    assert [title for (title,) in found] == ["Kept", "Later"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_was_cut_is_no_backup(target, share):
    """Cut anywhere: it is refused, and the replica is as it was."""
    Section.objects.create(title="Kept")
    asset(bytes(range(256)) * 400)
    making.make(target, ignore)
    Section.objects.create(title="Later")
    before = rows()
    target.write_bytes(target.read_bytes()[: int(share * target.stat().st_size)])
    with pytest.raises(NeedsOperatorError, match="backup"):
        restore(target)
    assert rows() == before


def repacked(target: Path, change) -> None:
    """Pack the backup anew after ``change`` has altered its members: a list of (name, content)."""
    with archive.ZstdFile(target, "rb") as compressed, tarfile.open(fileobj=compressed, mode="r|") as tar:
        members = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
    with archive.ZstdFile(target, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        for name, content in change(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def without_last_but_one(members):
    """Leave out a member that the manifest names."""
    return [*members[:-2], members[-1]]


def another_byte(members):
    """Alter a member."""
    name, content = members[0]
    return [(name, content[:-1] + bytes([content[-1] ^ 1])), *members[1:]]


def outside(members):
    """Add a member that would be written elsewhere."""
    return [("../elsewhere", b"x"), *members]


def of_another(members):
    """Call another replica its own."""
    manifest = {**json.loads(members[-1][1]), "replica": "EDGE77-LON"}
    return [*members[:-1], ("manifest.json", json.dumps(manifest).encode())]


def of_the_future(members):
    """Call for a migration that nobody knows here."""
    manifest = json.loads(members[-1][1])
    manifest["migrations"].append("content.9999_tomorrow")
    return [*members[:-1], ("manifest.json", json.dumps(manifest).encode())]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_last_but_one, "is missing"),
        (another_byte, "is another"),
        (outside, "no backup holds"),
        (of_another, "EDGE77-LON"),
        (of_the_future, "newer release"),
    ],
)
def test_what_does_not_belong_here_is_refused(target, change, says):
    """With the reason; and the replica is as it was."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    repacked(target, change)
    before, key = rows(), keys.path().read_bytes()
    with pytest.raises(NeedsOperatorError, match=says):
        restore(target)
    assert (rows(), keys.path().read_bytes()) == (before, key)
    assert not list(conf.data().glob("restore-*"))


def test_a_damaged_blob_is_left_out_and_reported(target, capsys):
    """The backup is made all the same; status 1 names the file, and it does not come back by restoring."""
    picture = asset(b"a picture" * 1000)
    blobs.path(picture.digest).write_bytes(b"something else")
    with pytest.raises(SystemExit) as ended:
        call_command("backup", str(target), "--json")
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert json.loads(written.out)["damaged"] == [picture.digest]
    assert picture.digest in written.err
    blobs.path(picture.digest).unlink()
    restore(target)
    assert not blobs.has(picture.digest)


def test_on_a_full_disk_nothing_is_left_of_a_backup(target):
    """A clear message, no half file, and the replica goes on."""
    Section.objects.create(title="Kept")
    asset(os.urandom(400_000))
    for size in (10, 4096, 100_000):
        with at_most(size), pytest.raises(NeedsOperatorError, match="cannot be"):
            making.make(target, ignore)
        assert list(target.parent.iterdir()) == []
    Section.objects.create(title="Later")
    assert making.make(target, ignore)["bytes"] == target.stat().st_size


def test_on_a_full_disk_nothing_is_restored(target):
    """What was there is as it was, and nothing is left of what was unpacked."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    Section.objects.create(title="Later")
    before = rows()
    for size in (10, 2000):
        with at_most(size), pytest.raises(NeedsOperatorError, match="is as it was"):
            restore(target)
        assert rows() == before
        assert not list(conf.data().glob("restore-*"))


def test_nothing_is_restored_under_a_running_program(target):
    """A web server or worker holds the lease; and none starts while a restore holds it."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    with lease.shared(conf.data()), pytest.raises(NeedsOperatorError, match="stop it first"):
        restore(target)
    with lease.alone(conf.data()), pytest.raises(lease.BusyError, match="being restored"), lease.shared(conf.data()):
        pass
    restore(target)


@pytest.mark.skipif(not is_file, reason="a server keeps others out by its own locks")
def test_nothing_is_restored_under_an_open_database(target):
    """A program that holds no lease, such as a shell of SQLite in the middle of a transaction."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    connections.close_all()
    other = sqlite3.connect(str(connection.settings_dict["NAME"]))
    other.execute("BEGIN")
    other.execute("SELECT COUNT(*) FROM content_section").fetchone()
    try:
        with pytest.raises(NeedsOperatorError, match="somebody uses"):
            restore(target)
    finally:
        other.close()
    assert Section.objects.count() == 1


@pytest.mark.skipif(not is_file, reason="a server mends its own files")
def test_a_broken_database_is_replaced_and_kept(target):
    """What a backup is for: the file is no database any more."""
    Section.objects.create(title="Kept")
    making.make(target, ignore)
    connections.close_all()
    file = Path(str(connection.settings_dict["NAME"]))
    file.write_bytes(b"rubbish" * 1000)
    with pytest.raises(NeedsOperatorError, match="--force"):
        restore(target, force=False)
    aside = Path(str(restore(target)["aside"]))
    assert Section.objects.count() == 1
    assert (aside / file.name).read_bytes() == b"rubbish" * 1000

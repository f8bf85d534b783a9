"""What a process leaves behind that is killed in the middle of a file: cleared when it is nobody's any more, and not before."""

import io
import os
import signal
import time

import pytest

from sync import blobs, conf, incoming, leftovers, scratch, sweep
from sync.backup import attempts
from tests.servers import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Child:
    """A process that takes a file in, or makes a backup, and gets no further until ``end``."""

    def __init__(self, work) -> None:
        read, self.pipe = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.pipe)
            try:
                work(os.fdopen(read, "rb"))
            finally:
                os._exit(0)
        os.close(read)

    def end(self, rest: bytes = b"") -> None:
        """Let it finish."""
        os.write(self.pipe, rest)
        os.close(self.pipe)
        os.waitpid(self.pid, 0)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pipe)


def test_a_file_that_was_being_taken_in_goes_when_its_process_was_killed():
    """And one that another process is writing right now stays, and is kept in the end."""
    victim, other = Child(blobs.put), Child(blobs.put)
    eventually(lambda: len(blobs.unfinished()) == 2)
    victim.kill()
    eventually(lambda: leftovers.clear() or len(blobs.unfinished()) == 1)
    leftovers.clear()
    other.end(b"the whole of it")
    assert blobs.unfinished() == []
    assert any(file.read_bytes() == b"the whole of it" for file in (conf.data() / "media").glob("??/*"))


def test_a_sweep_begins_with_it():
    """Nobody has to think of it."""
    victim = Child(blobs.put)
    eventually(blobs.unfinished)
    victim.kill()
    sweep.sweep()
    assert blobs.unfinished() == []


def test_a_file_that_was_cleared_before_it_was_locked_is_begun_anew(monkeypatch):
    """Between the making of a file and its lock somebody may take it for one of a dead process."""
    lock, seen = scratch.fcntl.flock, []

    def late(file, how):
        if not seen:
            seen.extend(blobs.unfinished())
            seen[0].unlink()
        lock(file, how)

    monkeypatch.setattr(scratch.fcntl, "flock", late)
    digest, _ = blobs.put(io.BytesIO(b"a picture that comes through"))
    assert seen and blobs.path(digest).read_bytes() == b"a picture that comes through"


def test_the_beginning_of_a_blob_goes_once_the_blob_is_here():
    """It came whole by another way; what is not here yet is gone on with."""
    digest, _ = blobs.put(io.BytesIO(b"a picture that came twice"))
    incoming.part(digest).write_bytes(b"a pic")
    incoming.part("0" * 64).write_bytes(b"anoth")
    leftovers.clear()
    assert (incoming.held(digest), incoming.held("0" * 64)) == (0, 5)
    incoming.drop("0" * 64)


def begin_backup(target):
    """Begin a backup in a process of its own; return that and its folder."""

    def work(pipe):
        with attempts.beginning(target) as (file, _):
            file.write(b"x" * 100)
            file.flush()
            pipe.read()

    child = Child(work)
    [place] = eventually(lambda: [each for each in target.parent.glob(".*.partial") if any(each.glob("*"))])
    eventually(lambda: (place / attempts.FILE).stat().st_size == 100)
    return child, place


def make_old(place):
    """Let an hour have passed since anything in ``place`` was written."""
    for path in [*place.rglob("*"), place]:
        os.utime(path, (time.time() - attempts.QUIET - 1,) * 2)


def test_a_backup_that_was_killed_goes_with_a_later_one_beside_it(tmp_path):
    """After an hour without a change: on a share of the network a lock may be seen by one machine only."""
    child, place = begin_backup(tmp_path / "monday")
    make_old(place)
    attempts.forget(tmp_path)
    assert place.exists(), "it is being written"
    child.kill()
    attempts.forget(tmp_path)
    assert not place.exists()


def test_a_backup_that_was_killed_just_now_stays(tmp_path):
    """Its lock is free, but perhaps just not seen; and so stays what only looks like it."""
    child, place = begin_backup(tmp_path / "monday")
    child.kill()
    others = [tmp_path / ".notes.partial", tmp_path / ".monday.0123abcd.partial.txt"]
    for other in others:
        other.mkdir()
        make_old(other)
    attempts.forget(tmp_path)
    assert place.exists() and all(other.exists() for other in others)

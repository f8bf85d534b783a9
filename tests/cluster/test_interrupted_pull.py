"""Pulls over a line that breaks anywhere: what came is kept, what is missing follows, nothing comes twice, nothing wrong appears."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sync.core import wire
from tests.cluster.acts import Look, differences, look, media, orm, pull
from tests.cluster.harness import Cluster, Replica, each, eventually
from tests.cluster.relay import Relay

pytestmark = pytest.mark.cluster

FRAME = bytes.fromhex("28b52ffd")  # how a zstd frame begins
# 650 changesets of some 600 bytes: more than one frame, each with many changesets; and two files.
WRITE = """
import io, random
from content.models import Asset, Section
from sync import blobs
for number in range(650):
    Section.objects.create(title=f"Section {number}", description=random.Random(number).randbytes(250).hex())
answer = []
for name, size in (("large.bin", 3_000_000), ("small.bin", 100_000)):
    digest, size = blobs.put(io.BytesIO(random.Random(size).randbytes(size)))
    Asset.objects.create(title=name, filename=name, digest=digest, size=size, content_type="application/octet-stream")
    answer.append(digest)
"""


class Line(NamedTuple):
    """A master that can be reached through ``relay`` only, an edge that has just been made, and a copy of its folder."""

    relay: Relay
    master: Replica
    edge: Replica
    pristine: Path
    large: str
    small: str
    whole: Look  # what the master holds; it writes nothing more
    starts: list[int]  # where in the answers of the master the frames begin, when an edge pulls everything

    def reset(self) -> None:
        """Let the edge be as it was made."""
        shutil.rmtree(self.edge.folder)
        shutil.copytree(self.pristine, self.edge.folder)
        self.relay.mend()

    def fail_to_pull(self) -> str:
        """Run ``sync_pull``, which must fail with status 1 and one line; return the code of the error."""
        outcome = self.edge.manage("sync_pull", parse=True)
        assert outcome.code == 1, outcome
        (peer,) = outcome.answer["peers"]
        assert not peer["ok"]
        (line,) = [line for line in outcome.stderr.splitlines() if line.startswith(self.master.name)]
        assert "Traceback" not in outcome.stderr and peer["error"]["detail"] in line
        return str(peer["error"]["code"])

    def complete(self) -> None:
        """Pull over the mended line and see that nothing is missing or there twice."""
        self.relay.mend()
        assert pull(self.edge)[self.master.name]["ok"]
        here = look(self.edge)
        assert here.log == self.whole.log
        assert here.status["digest"] == self.whole.status["digest"]
        assert differences(here.rows, self.whole.rows) == []
        assert media(self.edge) == media(self.master)

    def held(self) -> int:
        """Return how many changesets the edge holds, without starting a process."""
        with sqlite3.connect(f"file:{self.edge.folder}/db.sqlite3?mode=ro", uri=True) as database:
            return int(database.execute("SELECT COUNT(*) FROM sync_entry").fetchone()[0])

    def part(self, blob: str) -> Path:
        """Return where the beginning of a blob waits at the edge."""
        return self.edge.folder / "media" / "parts" / f"{blob}.part"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A master with 650 sections and two files behind a relay, and an edge that has pulled nothing yet."""
    folder = tmp_path_factory.mktemp("line")
    with Relay() as relay, Cluster(folder) as cluster:
        master, edge = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        relay.target = master.port
        master.extra["EDGECMS_URL"] = relay.url
        cluster.prepare()
        edge.must("sync_trust", master.name, "--role", "master", "--url", relay.url, "--key", key_of(master))
        large, small = orm(master, WRITE)
        master.start_web()
        shutil.copytree(edge.folder, folder / "pristine")
        line = Line(relay, master, edge, folder / "pristine", large, small, look(master), [])
        line.complete()
        answered = bytes(relay.answered)
        line.starts.extend(at for at in range(len(answered)) if answered.startswith(FRAME, at))
        assert len(line.starts) >= 5  # the first line, frames with changesets, the last line
        yield line


def key_of(replica: Replica) -> str:
    """Return its public key."""
    return str(replica.command("sync_identity")["key"])


@pytest.fixture
def line(site: Line) -> Line:
    """The same, the edge as it was made."""
    site.reset()
    return site


def test_a_pull_cut_anywhere_keeps_what_came(line: Line) -> None:
    """Cut before, in and between frames, a pull fails with a clear error and keeps whole frames; the next one completes it."""
    starts = line.starts
    middle = (starts[2] + starts[3]) // 2
    kept = []
    for cut in (0, starts[0] + 2, starts[1] + 1, middle, starts[3] + 5, starts[-1] - 1, starts[-1] + 3):
        line.reset()
        line.relay.cut(cut)
        assert line.fail_to_pull() in ("peer_unavailable", "incomplete_stream")
        kept.append(line.held())
    assert kept == sorted(kept) and len(set(kept)) >= 4
    assert kept[0] == 0 < kept[3] < len(line.whole.log) == kept[-1]
    line.complete()


def test_pulls_over_a_line_that_always_breaks_get_there(line: Line) -> None:
    """Each of many cut pulls goes on from where the last one was cut, and one of them is the last."""
    starts = line.starts
    step = max(b - a for a, b in itertools.pairwise(starts)) + starts[0] + 2000
    held, whole = [0], len(line.whole.log)
    while held[-1] < whole:
        line.relay.cut(step)
        line.fail_to_pull()
        held.append(line.held())
        assert held[-1] > held[-2], f"no pull got further than {held} of {whole}"
    assert len(held) >= 3
    line.complete()


def test_a_worker_that_is_killed_during_a_pull_leaves_nothing_half_done(line: Line) -> None:
    """After kill -9 in the middle of a stream the edge holds whole changesets, and the next pull brings the rest."""
    starts = line.starts
    line.relay.silence(after=(starts[2] + starts[3]) // 2)
    line.edge.start_worker()
    try:
        assert line.relay.silent.wait(60)
    finally:
        line.edge.worker.kill()
    assert line.held() < len(line.whole.log)
    line.complete()


def test_a_pull_that_is_killed_while_it_applies_leaves_nothing_half_done(line: Line) -> None:
    """After kill -9 in the middle of a transaction the edge holds all of a batch or nothing of it."""
    line.edge.start_worker()
    try:
        journal = line.edge.folder / "db.sqlite3-wal"
        quiet = journal.stat().st_size if journal.exists() else 0
        eventually(lambda: journal.stat().st_size > quiet + 200_000, pause=0.002)
    finally:
        line.edge.worker.kill()
    held = line.held()
    assert held % wire.MAX_FRAME_CHANGESETS == 0 or held == len(line.whole.log)  # a batch is some whole frames
    assert line.edge.manage("sync_verify", parse=True).answer["ok"]
    line.complete()


def test_two_pulls_at_once_bring_nothing_twice(line: Line) -> None:
    """A worker and a command that pull the same at the same time both end well, and each thing is there once."""
    reports = each([line.edge] * 2, lambda edge: pull(edge)[line.master.name])
    assert [report["ok"] for report in reports] == [True, True]  # type: ignore[index]
    assert not list(line.part(line.large).parent.iterdir())
    line.complete()


def test_media_cut_in_the_middle_are_not_fetched_twice(line: Line) -> None:
    """What came of a file before the line broke is kept, and only the rest is fetched; until then nothing of it is shown."""
    line.complete()
    shutil.rmtree(line.edge.folder / "media")
    orm(line.edge, "from sync.models import MissingBlob\nMissingBlob.objects.create(digest=blob)", blob=line.large)
    line.relay.cut(1_800_000)
    assert line.fail_to_pull() == "peer_unavailable"
    here = line.part(line.large).stat().st_size
    assert 1_700_000 < here < 1_800_000
    assert media(line.edge) == {}
    line.relay.mend()
    assert pull(line.edge)[line.master.name]["ok"]
    assert len(line.relay.answered) < 3_000_000 - here + 10_000
    path = f"{line.large[:2]}/{line.large}"
    assert media(line.edge) == {path: media(line.master)[path]}
    assert not line.part(line.large).exists()


def test_a_file_with_wrong_bytes_never_appears(line: Line) -> None:
    """A damaged file of the master is reported and dropped, the other one comes; mended, it comes too."""
    path = line.master.folder / "media" / line.large[:2] / line.large
    right = path.read_bytes()
    path.write_bytes(b"x" + right[1:])
    try:
        assert line.fail_to_pull() == "blob_wrong"
        assert list(media(line.edge)) == [f"{line.small[:2]}/{line.small}"]
        here = look(line.edge)
        assert here.log == line.whole.log and here.status["blobs_missing"] == 1
        assert not line.part(line.large).exists()
    finally:
        path.write_bytes(right)
    line.complete()

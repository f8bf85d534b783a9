"""kill -9 at random moments, hundreds of times: what was acknowledged is everywhere, nothing twice, nothing half done.

``EDGECMS_KILLS`` sets how many kills (``make crash KILLS=n``), ``EDGECMS_KILLS_SEED`` the seed of who is killed and when.
"""

from __future__ import annotations

import collections
import hashlib
import os
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.acts import LOOK, Look, Rows, differences
from tests.cluster.harness import Cluster, Replica, each, eventually
from tests.cluster.witness import WRITER, Witness, committed, last_descriptions
from tests.cluster.zygote import LINES, MANAGE, Zygote, children, found_site, introduce
from tests.servers import find

pytestmark = pytest.mark.cluster

KILLS = int(os.environ.get("EDGECMS_KILLS", "300"))
SEED = int(os.environ.get("EDGECMS_KILLS_SEED", random.randrange(1 << 32)))
COPY = "backups/of-itself"  # what a replica is restored from
EXCHANGES = ("sync_pull", "sync_push")
NEW_KILLS = max(5, KILLS // 15)  # of them, of the first `migrate` of a new replica

PAGES = """
from content.models import Page, Section
section = Section.objects.create(title="News")
answer = [[page.token, f"/admin/content-editor/page/{page.slug}"] for page in
          [Page.objects.create(title=f"Page {n}", section=section) for n in range(count)]]
"""


@dataclass
class Victim:
    """A kind of program that is killed.

    ``usual``: within how many seconds; for a command, what one takes, measured first and learned from then on. ``sign``: a
    pattern of what lies in the replica's folder while it is at work; a commit by it is the sign where there is none.
    """

    name: str
    kill: Callable[[Killer, Victim], bool]
    usual: float = 0.0
    args: tuple[str, ...] = ()
    sign: str = ""
    stale: set[Path] = field(default_factory=set)  # signs that those killed before have left


@dataclass
class Killer(threading.Thread):
    """Kills programs of one replica, one after the other, and starts those again that have to run."""

    zygote: Zygote
    random: random.Random
    left: Iterator[int]
    victims: list[Victim]
    running: dict[str, int] = field(default_factory=dict)
    writers: list[Path] = field(default_factory=list)
    killed: collections.Counter[str] = field(default_factory=collections.Counter)
    at_work: collections.Counter[str] = field(default_factory=collections.Counter)  # of them, killed after work had begun
    strange: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    @property
    def replica(self) -> Replica:
        return self.zygote.replica

    def begin(self) -> None:
        """Start what runs all the time."""
        (self.replica.folder / "backups").mkdir(exist_ok=True)
        self.running = {"web": self.zygote.web(), "worker": self.zygote.start(MANAGE, "sync_worker")}

    def run(self) -> None:
        """Kill until enough have been killed: round after round each kind once, in random order."""
        turn: list[Victim] = []
        try:
            while next(self.left, None) is not None:
                turn = turn or self.random.sample(self.victims, len(self.victims))
                victim = turn.pop()
                while not victim.kill(self, victim):
                    pass
                self.killed[victim.name] += 1
        except Exception as error:
            self.strange.append(f"{self.replica.name}: the killer gave up: {error!r}")

    def measure(self, victim: Victim) -> None:
        """Run a command to its end, so that it is known within what time it has to be killed."""
        if victim.args:
            began = time.monotonic()
            self.zygote.run(MANAGE, *self.args(victim))
            victim.usual = 1.1 * (time.monotonic() - began)

    def args(self, victim: Victim) -> list[str]:
        """Return the arguments of a command."""
        return [arg.format(folder=self.replica.folder, number=self.random.randrange(1 << 32)) for arg in victim.args]

    def pause(self, longest: float) -> None:
        """Let pass what is the random moment."""
        time.sleep(self.random.uniform(0, longest))

    def is_at_work(self, victim: Victim, pid: int) -> bool:
        """Say whether what ``pid`` is there for has begun."""
        return bool(self.signs(victim) - victim.stale) if victim.sign else self.zygote.has_committed(pid)

    def signs(self, victim: Victim) -> set[Path]:
        """Return what lies in the folder that tells of a program at work, now or before it was killed."""
        return set(self.replica.folder.glob(victim.sign)) if victim.sign else set()

    def await_moment(self, victim: Victim, pid: int) -> bool:
        """Let pass what is the random moment; every second time it is counted from when work had begun. Say whether it has."""
        end = time.monotonic() + victim.usual
        if self.random.random() < 0.5:
            last = end + 9 * victim.usual if victim.args else end  # what runs all the time may have nothing to do
            while time.monotonic() < last and not self.is_at_work(victim, pid) and not self.zygote.has_ended(pid):
                time.sleep(0.002)
        self.pause(max(end - time.monotonic(), 0.05 * victim.usual))
        return self.is_at_work(victim, pid)

    def count(self, victim: Victim, was_at_work: bool) -> None:
        """Note that one was killed while it was at work, if it was."""
        self.at_work[victim.name] += was_at_work


def web(killer: Killer, victim: Victim) -> bool:
    """Kill gunicorn with its workers; start it again at once."""
    killer.count(victim, killer.await_moment(victim, killer.running["web"]))
    if killer.zygote.kill(killer.running["web"]) != -signal.SIGKILL:
        killer.strange.append(f"{killer.replica.name}: the web server had ended before it was killed")
    killer.running["web"] = killer.zygote.web()
    return True


def web_worker(killer: Killer, victim: Victim) -> bool:
    """Kill one worker of gunicorn, which then starts another."""
    killer.pause(victim.usual)
    found = children(killer.running["web"])
    if found:
        pid = killer.random.choice(found)
        killer.count(victim, killer.is_at_work(victim, pid))
        os.kill(pid, signal.SIGKILL)
    return bool(found)


def worker(killer: Killer, victim: Victim) -> bool:
    """Kill ``sync_worker``; start it again at once."""
    killer.count(victim, killer.await_moment(victim, killer.running["worker"]))
    if killer.zygote.kill(killer.running["worker"]) != -signal.SIGKILL:
        killer.strange.append(f"{killer.replica.name}: the worker had ended before it was killed")
    killer.running["worker"] = killer.zygote.start(MANAGE, "sync_worker")
    return True


def command(killer: Killer, victim: Victim) -> bool:
    """Start a command and kill it within the time that it usually takes; say whether it had not ended before."""
    args, victim.stale, began = killer.args(victim), killer.signs(victim), time.monotonic()
    pid = killer.zygote.start(MANAGE, *args)
    was_at_work = killer.await_moment(victim, pid)
    took = time.monotonic() - began
    if not killer.zygote.has_ended(pid):
        if took > 0.9 * victim.usual:  # else one that had become slower would never be seen near its end
            victim.usual *= 1.2
        was_killed = killer.zygote.kill(pid) == -signal.SIGKILL
        killer.count(victim, was_at_work and was_killed)
        return was_killed
    status = killer.zygote.wait(pid)
    victim.usual = 0.7 * victim.usual + 0.3 * 1.1 * took
    if status and not (status == 1 and args[0] in EXCHANGES):  # a peer that has just been killed did not answer
        killer.strange.append(f"{killer.replica.name}: {' '.join(args)} ended with status {status}")
    return False


def writer(killer: Killer, victim: Victim) -> bool:
    """Kill a process that writes by the ORM."""
    log = killer.replica.folder / f"writer-{len(killer.writers)}.log"
    killer.writers.append(log)
    pid = killer.zygote.start(LINES, WRITER, log=log)
    killer.count(victim, killer.await_moment(victim, pid))
    if killer.zygote.kill(pid) != -signal.SIGKILL:
        killer.strange.append(f"{killer.replica.name}: a writer ended by itself: {log.read_text()[-500:]}")
    return True


def restore(killer: Killer, victim: Victim) -> bool:
    """Stop the replica, copy it, kill the command that puts the copy back, and start it again: it has all that it had."""
    for pid in killer.running.values():
        killer.zygote.kill(pid)
    copy(killer)
    was_killed = command(killer, victim)
    killer.begin()
    return was_killed


def copy(killer: Killer) -> None:
    """Make the backup from which the replica is restored."""
    (killer.replica.folder / COPY).unlink(missing_ok=True)
    killer.zygote.must("backup", str(killer.replica.folder / COPY))


def victims(role: str) -> list[Victim]:
    """Return who is killed. A master keeps every value: there ``sync_compact`` is refused at once."""
    compact = [] if role == "master" else [Victim("sync_compact", command, args=("sync_compact",))]
    return [
        Victim("web", web, 1.0),
        Victim("web worker", web_worker, 0.8),
        Victim("sync_worker", worker, 0.8),
        Victim("writer", writer, 0.6),
        Victim("sync_pull", command, args=("sync_pull",)),
        Victim("sync_push", command, args=("sync_push",)),
        Victim("migrate", command, args=("migrate", "--verbosity", "0")),
        *compact,
        Victim("backup", command, args=("backup", "{folder}/backups/{number}"), sign="backups/.*.partial"),
        Victim("restore", restore, args=("restore", f"{{folder}}/{COPY}", "--force"), sign="restore-*/*"),
    ]


def measure(killer: Killer) -> None:
    """Run each command once to its end: ``restore`` while nothing runs, then the others, beside what runs all the time."""
    (killer.replica.folder / "backups").mkdir()
    copy(killer)
    for victim in killer.victims:
        if victim.kill is restore:
            killer.measure(victim)
    killer.begin()
    ready(killer.replica)
    for victim in killer.victims:
        if victim.kill is command:
            killer.measure(victim)


def survive_migrate(killer: Killer, count: int) -> None:
    """Kill the first ``migrate`` of a new replica again and again, each time from where it was left."""
    victim = Victim("first migrate", command, args=("migrate", "--verbosity", "0"))
    killer.measure(victim)
    empty(killer.replica.folder)
    while killer.killed[victim.name] < count:
        if command(killer, victim):
            killer.killed[victim.name] += 1
        else:
            empty(killer.replica.folder)
    killer.zygote.must("migrate", "--verbosity", "0")


def empty(folder: Path) -> None:
    """Make a replica new again."""
    for path in folder.glob("*.sqlite3*"):
        path.unlink()
    shutil.rmtree(folder / "keys", ignore_errors=True)


FORESEEN = re.compile(
    r"was sent SIGKILL"  # gunicorn tells of its worker
    r"|peer_unavailable|incomplete_stream|was not woken"  # a peer that was killed
    r"|Control server error"
)
TROUBLE = re.compile(r"Traceback|ERROR|CRITICAL|unforeseen|Error:|Exception")


def trouble(folder: Path) -> list[str]:
    """Return the lines of the logs in ``folder`` that tell of something that nobody foresaw, each with its file."""
    return [
        f"{folder.name}/{path.name}: {line}"
        for path in sorted(folder.glob("*.log"))
        for line in path.read_text(errors="replace").splitlines()
        if TROUBLE.search(line) and not FORESEEN.search(line)
    ]


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of a PostgreSQL; SQLite where there is none, but not in CI."""
    if not find("postgres") and os.environ.get("CI") != "true":
        return ""
    return str(request.getfixturevalue("postgresql_server").database())


@pytest.mark.timeout(3600)
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, database_url: str) -> None:
    """After hundreds of kills of everything that runs, each acknowledged write is on every replica, once, and all are equal."""
    print(f"seed {SEED}, {KILLS} kills")
    with Cluster(tmp_path, interval=1) as cluster, ExitStack() as stack:
        site = [
            cluster.make("MASTER01", "master", database_url=database_url),
            cluster.make("EDGE01", "edge", farm="thames"),
            cluster.make("EDGE02", "edge", farm="thames"),
        ]
        cluster.make("EDGE03", "edge", farm="thames")  # whose first steps are killed
        zygotes = [stack.enter_context(zygote) for zygote in map(Zygote, cluster.replicas)]
        found_site(zygotes[:3])
        left = iter(range(KILLS - NEW_KILLS))
        killers = [
            Killer(zygote, random.Random(f"{SEED} {number}"), left, victims(zygote.replica.role))
            for number, zygote in enumerate(zygotes)
        ]
        newcomer = killers.pop()
        with ThreadPoolExecutor(len(killers)) as pool:
            list(pool.map(measure, killers))
        witness = Witness()
        begun = time.monotonic()
        for replica, zygote in zip(site[:2], zygotes, strict=False):
            pages = zygote.answer(PAGES, count=max(5, KILLS // 10))
            witness.watch(witness.editing(stack.enter_context(closing(replica.login())), pages), replica)
        for replica in site[1:]:
            witness.watch(witness.send, replica)
        for killer in killers:
            killer.start()
        survive_migrate(newcomer, NEW_KILLS)
        for killer in killers:
            killer.join()
        took = time.monotonic() - begun
        each(site, ready)
        witness.end()
        killed = sum((killer.killed for killer in killers), newcomer.killed)
        at_work = sum((killer.at_work for killer in killers), newcomer.at_work)
        print(f"{sum(killed.values())} kills in {took:.0f} s: {dict(killed)}; of them at work: {dict(at_work)}")
        commits = sum(len(committed(log)) for killer in killers for log in killer.writers)
        saves = sum(map(len, witness.pages.values()))
        print(f"acknowledged: {len(witness.receipts)} submissions, {saves} saves, {commits} commits of the ORM")
        assert [
            *witness.strange,
            *(line for killer in [*killers, newcomer] for line in killer.strange),
            *(line for replica in cluster.replicas for line in trouble(replica.folder)),
        ] == []
        introduce(zygotes[0], zygotes[3:])
        newcomer.begin()
        looks = alike(zygotes)
        eventually(lambda: [path for replica in cluster.replicas for path in left_behind(replica.folder)] == [])
        all_is_there(witness, killers, looks, cluster.replicas)
        assert [line for replica in cluster.replicas for line in trouble(replica.folder)] == []
        assert sum(killed.values()) == KILLS
        kinds = {victim.name for killer in killers for victim in killer.victims} | {"first migrate"}
        assert KILLS < 100 or set(+killed) == set(+at_work) == kinds, (killed, at_work)
        assert min(len(witness.receipts), saves, commits) >= KILLS / 60


def left_behind(folder: Path) -> list[Path]:
    """Return what killed processes have left and nobody will go on with; a backup's is cleared by one that is made an hour later."""
    patterns = ("media/incoming-*", "restore-*", ".*.restored", "restore.unfinished")
    return [path for pattern in patterns for path in folder.glob(pattern)]


def ready(replica: Replica) -> None:
    """Wait until its web server takes requests."""
    eventually(lambda: replica.get("/readyz").status_code == 200, pause=0.02)


def alike(zygotes: list[Zygote]) -> list[Look]:
    """Wait until all replicas hold the same, and return what that is; what stands in their tables follows from their logs."""

    def looks() -> list[Look]:
        found = [Look(*zygote.answer(LOOK)) for zygote in zygotes]
        states = {(look.status["digest"], len(look.log), look.status["blobs_missing"]) for look in found}
        assert len(states) == 1 and found[0].status["blobs_missing"] == 0, states
        return found

    try:
        found = eventually(looks, timeout=60)
    finally:
        verified = [zygote.report("sync_verify") for zygote in zygotes]
        wrong = [outcome.stderr[-1500:] for outcome in verified if outcome.code]
        assert wrong == []
    return found


def all_is_there(witness: Witness, killers: list[Killer], looks: list[Look], replicas: list[Replica]) -> None:
    """Every acknowledged write is in the rows of every replica, once; the log has each changeset once."""
    for look in looks:
        assert look.log == looks[0].log
        assert len(look.log) == len(set(look.log))
        assert differences(look.rows, looks[0].rows) == []
        assert [look.status[name] for name in ("quarantined", "held", "deferred")] == [0, 0, 0]
    rows = looks[0].rows
    sent: dict[str, list[str]] = {}
    for token, row in rows["content.submission"].items():
        sent.setdefault(row["idempotency_key"], []).append(token)
    assert {key: sent.get(key) for key in witness.receipts} == {key: [token] for key, token in witness.receipts.items()}
    texts = collections.Counter((row["parent_id"], row["data"].get("html")) for row in rows["content.block"].values())
    saved = {(page, text): 1 for page, found in witness.pages.items() for text in found}
    assert {place: texts[place] for place in saved} == saved
    assert set(texts.values()) == {1}
    for token, titles in witness.titles.items():
        assert rows["content.page"][token]["title"] in titles
    for killer in killers:
        for log in killer.writers:
            _what_a_writer_printed(committed(log), rows, replicas)


def _what_a_writer_printed(lines: list[list[str]], rows: Rows, replicas: list[Replica]) -> None:
    for token, number in last_descriptions(lines).items():
        shown = rows["content.section"][token]["description"]
        assert shown in (f"text {number}" if number >= 0 else "", f"text {number + 1}")
    for _, token, digest in (line for line in lines if line[0] == "asset"):
        assert rows["content.asset"][token]["digest"] == digest
        for replica in replicas:
            content = (replica.folder / "media" / digest[:2] / digest).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest

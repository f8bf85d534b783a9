"""What the commands say: exit statuses, one JSON object, plans that change nothing, progress."""

import io
import json
import signal
import sqlite3

import pytest

from sync.management.progress import counting
from tests.cluster.acts import orm
from tests.cluster.harness import Cluster

pytestmark = pytest.mark.cluster

KEY = "ed25519:" + "A" * 43 + "="
MISUSES = [
    ("sync_pull", "nonsense"),
    ("sync_push", "--no-such-option"),
    ("sync_revoke",),
    ("sync_revoke", "EDGE01-LON", "--from", "0"),
    ("sync_trust", "lower-case", "--role", "edge", "--key", KEY),
    ("sync_trust", "EDGE01-LON", "--role", "king", "--key", KEY),
    ("sync_trust", "EDGE01-LON", "--role", "edge", "--key", "ed25519:short"),
    ("sync_trust", "EDGE01-LON", "--role", "edge", "--farm", "a b/c", "--key", KEY),
    ("sync_trust", "EDGE01-LON", "--role", "edge", "--url", "http://", "--key", KEY),
    ("sync_trust", "EDGE01-LON", "--role", "edge", "--url", "http://localhost:", "--key", KEY),
    ("sync_trust", "EDGE01-LON", "--role", "edge", "--url", "http://a b", "--key", KEY),
    ("sync_invite", "--role", "edge", "--minutes", "0"),
    ("sync_invite", "--role", "edge", "--minutes", "nan"),
    ("sync_invite", "--role", "edge", "--minutes", "1e300"),
    ("sync_invite", "--role", "edge", "--farm", "a b"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A master that serves a few sections, and an edge that is to pull them."""
    with Cluster(tmp_path_factory.mktemp("commands")) as cluster:
        master, edge = cluster.add("MASTER01", "master"), cluster.add("EDGE01", "edge", "thames")
        cluster.introduce()
        orm(master, "from content.models import Section\nfor n in range(5): Section.objects.create(title=f'Section {n}')")
        master.start_web()
        yield master, edge


@pytest.mark.parametrize("words", MISUSES, ids=" ".join)
def test_misuse_ends_with_two(site, words):
    """Status 2, a line on stderr that says what is accepted, nothing on stdout."""
    outcome = site[0].manage(*words)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.strip() and "Traceback" not in outcome.stderr


def content(replica):
    """Return everything in a replica's database, but for whom it has met."""
    with sqlite3.connect(replica.folder / "db.sqlite3") as database:
        return [line for line in database.iterdump() if "sync_contact" not in line]


def test_a_plan_shows_what_would_change_and_changes_nothing(site):
    """As often as one looks; the pull then brings just that."""
    _, edge = site
    before = content(edge)
    [planned] = edge.command("sync_pull", "--plan")["peers"]
    assert (planned["received"], planned["rows"]["content.section"], planned["applied"]) == (7, 5, 0)
    assert content(edge) == before
    done = edge.manage("sync_pull", parse=True)
    assert (done.code, done.answer["peers"][0]["applied"]) == (0, 7)
    assert edge.command("sync_pull", "--plan")["peers"][0]["received"] == 0


def test_long_work_without_a_terminal_is_lines_in_the_log(site):
    """A line at 200 and whenever that has doubled; a short pull says nothing."""
    master, edge = site
    edge.command("sync_pull")
    orm(master, "from content.models import Section\nfor n in range(250): Section.objects.create(title=f'More {n}')")
    done = edge.manage("sync_pull", parse=True)
    assert (done.code, done.answer["peers"][0]["applied"]) == (0, 250)
    assert "pull MASTER01-LON: 200 changesets so far" in done.stderr
    assert edge.manage("sync_pull").stderr == ""


def test_a_pull_of_a_hundred_thousand_logs_a_few_lines(caplog, monkeypatch):
    """More rarely the longer it takes: a log that nobody reads to its end hides what matters."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level("INFO"), counting("changesets") as count:
        for _ in range(1000):
            count(100)
    assert [line.split()[0] for line in caplog.messages[:4]] == ["200", "400", "800", "1600"]
    assert len(caplog.messages) < 20 and int(caplog.messages[-1].split()[0]) > 90_000


def test_a_worker_that_is_stopped_says_what_it_did(site):
    """SIGTERM ends it with status 0; --json gives one object."""
    import subprocess
    import sys

    from deploy.local.replica import TOP
    from tests.servers import eventually

    _, edge = site
    log = edge.folder / "worker-test.log"
    with log.open("w") as errors:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "sync_worker", "--json"], env=edge.env, cwd=TOP, stdout=subprocess.PIPE, stderr=errors
        )
    eventually(lambda: "exchanges every" in log.read_text())
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert set(json.loads(out)) == {"exchanges", "failed", "sent", "received", "applied"}


def test_a_database_that_was_not_migrated_is_named_in_one_line(tmp_path):
    """No traceback, and no worker that fails for ever."""
    with Cluster(tmp_path) as cluster:
        fresh = cluster.make("EDGE09", "edge", "thames")
        for command in ("sync_status", "sync_worker"):
            outcome = fresh.manage(command)
            assert outcome.code == 1
            assert "manage.py migrate" in outcome.stderr
            assert "Traceback" not in outcome.stderr


def test_a_wrong_key_of_the_root_is_found_at_once_and_can_be_put_right(tmp_path, site):
    """The own key is refused; another one is named at the first exchange; the right one then works."""
    master, _ = site
    with Cluster(tmp_path) as cluster:
        edge = cluster.add("EDGE02", "edge", "thames")
        own, right = edge.command("sync_identity")["key"], master.command("sync_identity")["key"]
        assert (
            edge.manage("sync_trust", master.name, "--role", "master", "--url", master.url, "--key", own, parse=True).code == 1
        )
        edge.trust(master, KEY)
        master.trust(edge, own)
        pulled = edge.manage("sync_pull", parse=True)
        assert pulled.code == 1
        assert "another key" in pulled.answer["peers"][0]["error"]["detail"]
        edge.trust(master, right)
        assert edge.manage("sync_pull").code == 0
        assert "keys of roots stay" in edge.manage("sync_trust", master.name, "--role", "master", "--key", KEY).stderr

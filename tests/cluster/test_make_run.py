"""A newcomer's first ten minutes, by the very program that `make run` calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.installation import replicas
from deploy.local.processes import group_lives, has_ended
from tests.servers import eventually, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
TOP = Path(__file__).resolve().parent.parent.parent
READY = "edgecms is running"


class Installation:
    """`deploy/run.py` in a folder of its own; ``log`` is what it printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.log = folder / "run", port, folder / "printed"
        self.child: subprocess.Popen[bytes] | None = None

    def command(self, *args: str) -> list[str]:
        """Return the command line, as `make run` and its reader type it."""
        return [sys.executable, "deploy/run.py", *args, "--folder", str(self.folder)]

    def start(self) -> None:
        """Start it and wait for the line that says it is ready."""
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                self.command("--port", str(self.port)), cwd=TOP, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        eventually(lambda: READY in self.printed() or self.child.poll() is not None, timeout=240)
        assert READY in self.printed(), self.printed()

    def printed(self) -> str:
        """Return everything that it has printed so far."""
        return self.log.read_text()

    def ask(self, *args: str) -> None:
        """Call it from "another terminal"."""
        subprocess.run(self.command(*args), cwd=TOP, check=True, timeout=120)

    def stop(self) -> list[int]:
        """Press Ctrl-C and wait; return the process groups that had been started."""
        groups = [int(path.read_text().split()[0]) for path in self.folder.glob("*/*.pid")]
        assert self.child
        self.child.send_signal(signal.SIGINT)
        assert self.child.wait(60) == 0, self.printed()
        return groups

    def pages(self, offset: int) -> set[str]:
        """Return the public pages that a replica lists in its sitemap, without the host."""
        text = httpx2.get(f"http://127.0.0.1:{self.port + offset}/sitemap.xml", timeout=30, trust_env=False).text
        return {part.split("</loc>")[0].split("/", 3)[-1] for part in text.split("<loc>")[1:]}

    def status(self, offset: int, path: str) -> int:
        """Return the status with which a replica answers a path."""
        return httpx2.get(f"http://127.0.0.1:{self.port + offset}{path}", timeout=30, trust_env=False).status_code


WRITE = """
from django.db import transaction
from content.models import Page, Section
from content.publishing import publish
with transaction.atomic():
    page = Page.objects.create(title={title!r}, section=Section.objects.first())
    print(publish(page).get_absolute_url())
"""


def write(installation: Installation, offset: int, title: str) -> str:
    """Write and publish a page on one of the three replicas; return its address."""
    replica = replicas(installation.folder, installation.port)[offset]
    outcome = replica.manage("shell", "--verbosity", "0", "-c", WRITE.format(title=title))
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout.strip()


def arrives(installation: Installation, offset: int, path: str) -> None:
    """Wait until a replica shows that page to its visitors."""
    eventually(lambda: installation.status(offset, path) == 200, timeout=60)


def three_free_ports() -> int:
    """Return the first of three ports in a row that nobody listens on now."""
    while True:
        first = free_port()
        try:
            for port in range(first, first + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation, made from an empty folder."""
    installation = Installation(tmp_path_factory.mktemp("make-run"), three_free_ports())
    try:
        installation.start()
        yield installation
    finally:
        if installation.child and installation.child.poll() is None:
            installation.stop()


def test_sample_is_on_all_three_replicas(installation: Installation) -> None:
    """When the ready line is printed, the same sample pages are public on the master and on both edges."""
    pages = installation.pages(0)
    assert len(pages) >= 20
    assert installation.pages(1) == installation.pages(2) == pages
    assert all(installation.status(offset, "/") == 200 for offset in range(3))


def test_what_is_printed_can_be_followed(installation: Installation) -> None:
    """The addresses that are printed answer: three sites and the editor's login."""
    printed = installation.printed()
    for offset in range(3):
        assert f"http://localhost:{installation.port + offset}/" in printed
    assert "/admin/content-editor/page/" in printed
    assert installation.status(0, "/admin/content-editor/page/") in (200, 302)


def test_page_of_the_master_reaches_both_edges(installation: Installation) -> None:
    """The first thing to try: what is published on the master is public on both edges, without a restart."""
    path = write(installation, 0, "Written on the master")
    arrives(installation, 1, path)
    arrives(installation, 2, path)


def test_page_of_an_edge_reaches_its_farm_and_the_master(installation: Installation) -> None:
    """The second: what is published on edge 1 is pushed to edge 2, and the master pulls it."""
    path = write(installation, 1, "Written on edge 1")
    arrives(installation, 2, path)
    arrives(installation, 0, path)


def test_edge_that_was_stopped_catches_up(installation: Installation) -> None:
    """The third: edge 2 is stopped, pages are written on the master and on edge 1, and once started it has both."""
    installation.ask("stop", "edge2")
    paths = [write(installation, 0, "While edge 2 was away"), write(installation, 1, "While edge 2 was away")]
    installation.ask("start", "edge2")
    for path in paths:
        arrives(installation, 2, path)


def test_single_edge_stops_and_starts(installation: Installation) -> None:
    """`stop edge2` takes down that replica only; `start edge2` brings it back."""
    installation.ask("stop", "edge2")
    with pytest.raises(httpx2.TransportError):
        installation.status(2, "/healthz")
    assert installation.status(1, "/readyz") == 200
    installation.ask("start", "edge2")
    assert installation.status(2, "/readyz") == 200


def test_any_replica_is_asked_by_its_name(installation: Installation) -> None:
    """`manage edge1 sync_identity --json` runs manage.py as that replica, options and all."""
    command = [
        sys.executable,
        "deploy/run.py",
        "--folder",
        str(installation.folder),
        "manage",
        "edge1",
        "sync_identity",
        "--json",
    ]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["name"] == "EDGE01-LON"


def test_worker_that_dies_is_reported_and_the_others_go_on(installation: Installation) -> None:
    """A process that is killed is named with the end of its log; `start` brings its replica back."""
    pid = int((installation.folder / "edge2" / "worker.pid").read_text().split()[0])
    os.killpg(pid, signal.SIGKILL)
    eventually(lambda: "EDGE02-LON worker ended with status -9" in installation.printed())
    eventually(lambda: (installation.folder / "edge2" / "state").read_text() == "failed")
    assert installation.status(0, "/readyz") == 200
    installation.ask("start", "edge2")
    assert installation.status(2, "/readyz") == 200


def test_what_has_died_a_moment_ago_is_started_again_at_once(installation: Installation) -> None:
    """`start` right after a crash does not say that all is running: it waits until that is true."""
    pid = int((installation.folder / "edge1" / "worker.pid").read_text().split()[0])
    os.killpg(pid, signal.SIGKILL)
    installation.ask("start", "edge1")
    assert int((installation.folder / "edge1" / "worker.pid").read_text().split()[0]) != pid
    assert installation.status(1, "/readyz") == 200


def test_a_process_has_ended_before_anybody_asks_how() -> None:
    """Its group answers signals until the supervisor has looked, a moment later; `start` must not take that for life."""
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    eventually(lambda: has_ended(child.pid))
    assert group_lives(child.pid)
    child.wait()
    assert has_ended(child.pid)


def test_second_run_in_the_same_folder_is_refused(installation: Installation) -> None:
    """Two supervisors never share one folder."""
    done = subprocess.run(installation.command("--port", str(three_free_ports())), cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is running already" in done.stderr


def test_data_in_use_is_not_forgotten(installation: Installation) -> None:
    """`make clean` leaves the data of a running installation alone."""
    done = subprocess.run(installation.command("clean"), cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 1
    assert "stop it with Ctrl-C first" in done.stderr
    assert (installation.folder / "master" / "db.sqlite3").exists()


def test_taken_port_is_named(installation: Installation, tmp_path: Path) -> None:
    """A port that has a listener is named, with the way out."""
    command = [sys.executable, "deploy/run.py", "--folder", str(tmp_path / "run"), "--port", str(installation.port)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Port {installation.port}, for MASTER01-LON, cannot be used" in done.stderr
    assert "make run PORT=" in done.stderr


@pytest.mark.parametrize("port", ["abc", "99999", "65534", "0", "8_0", "9" * 5000])
def test_what_is_no_port_is_said_in_a_line(tmp_path: Path, port: str) -> None:
    """Status 2, as for any wrong call, and nothing is made."""
    command = [sys.executable, "deploy/run.py", "--folder", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=TOP, env={**os.environ, "PORT": port}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "from 1 to 65533" in done.stderr and not (tmp_path / "run").exists()


def test_ctrl_c_leaves_nothing_and_a_second_run_goes_on(installation: Installation) -> None:
    """After Ctrl-C no process is left; the next run has the same pages without importing again, and soon is up."""
    pages = installation.pages(0)
    groups = installation.stop()
    assert len(groups) == 6
    assert not [group for group in groups if group_lives(group)]
    assert not list(installation.folder.glob("*/*.pid"))
    installation.start()
    assert "sample content" not in installation.printed()
    assert installation.pages(0) == pages
    assert installation.pages(2) == pages


def test_what_a_killed_supervisor_left_is_cleared_away(installation: Installation) -> None:
    """After `kill -9` of the supervisor the next run, on other ports too, first ends what that one left."""
    assert installation.child
    installation.child.kill()
    installation.child.wait()
    left = [int(path.read_text().split()[0]) for path in installation.folder.glob("*/*.pid")]
    installation.port = three_free_ports()
    installation.start()
    assert len(left) == 6
    assert not [group for group in left if group_lives(group)]
    installation.stop()
    subprocess.run(installation.command("clean"), cwd=TOP, check=True)
    assert not installation.folder.exists()

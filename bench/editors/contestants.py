"""Who is measured in ``bench.editor``: each a site with an editor, and the same pages in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import environment
from bench.contestants import WAGTAIL, gunicorn
from bench.editors.browser import PARTS, SHORT, Browser, form_of
from bench.editors.content import WORD
from bench.frame import CannotError
from bench.measure import TOP, free_port
from deploy.local.processes import Process
from deploy.local.replica import Replica

CHANGES = ("nothing", "one block", "all blocks")
FIRST = re.compile(rf"{WORD} \d+")


def cpu_seconds(process: Process) -> float:
    """Return the processor time that the threads of a server and of its workers have used so far; Linux keeps it to the nanosecond."""
    root = process.child.pid if process.child else 0
    workers = Path(f"/proc/{root}/task/{root}/children")
    pids = [root, *map(int, workers.read_text().split())] if workers.exists() else []
    used = (task.read_text().split()[0] for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, used)) / 1e9


@dataclass
class Editor:
    """A site. ``paths``: size of a page -> where it is edited; ``inputs``: what scripts put into its form, by size.

    ``kind`` is the encoding in which browsers send its form.
    """

    name: str
    url: str
    process: Process
    paths: Mapping[int, str]
    kind: str = SHORT
    login: str = "/admin/login/"
    inputs: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    saved: dict[int, int] = field(default_factory=dict)  # how often each page was changed

    def open(self, browser: Browser, size: int) -> tuple[dict[str, str], float]:
        """Open a page and return its form and the seconds that it took. Raises RuntimeError for anything but the page."""
        answer = browser.ask("GET", self.paths[size])
        if answer.status != 200 or f"{WORD} {self.saved.get(size, 0)} of" not in answer.text:
            raise RuntimeError(f"{self.name} answers {answer.status} and not the page as it was saved last")
        return {**form_of(answer.text, "title"), **self.inputs.get(size, {})}, answer.seconds

    def save(self, browser: Browser, size: int, form: dict[str, str], change: str) -> float:
        """Save a page with a change of ``CHANGES``; return the seconds that it took."""
        if change != "nothing":
            self.saved[size] = self.saved.get(size, 0) + 1
            form = self._changed(form, self.saved[size], everything=change == "all blocks")
            if size in self.inputs:
                self.inputs = {**self.inputs, size: {key: form[key] for key in self.inputs[size]}}
        return browser.send(self.paths[size], form, self.kind).seconds

    def _changed(self, form: dict[str, str], number: int, everything: bool) -> dict[str, str]:
        names = [name for name, value in form.items() if FIRST.search(value) and "initial-" not in name]
        chosen = names if everything else names[:1]
        return form | {name: FIRST.sub(f"{WORD} {number}", form[name]) for name in chosen}


def edgecms(folder: Path, sizes: Sequence[int]) -> Editor:
    """Return edgecms."""
    ours = Replica("MASTER01", "BENCH", "master", "", folder / "master", free_port(), extra={"WEB_CONCURRENCY": "2"})
    ours.must("migrate", "--verbosity", "0")
    made = ours.manage("shell", "--verbosity", "0", "-c", f"from bench.editors.ours import fill; fill({list(sizes)})")
    return Editor("edgecms", ours.url, ours.web, _paths(made.stdout, sizes, made.stderr))


def plain(folder: Path, sizes: Sequence[int]) -> Editor:
    """Return the admin of a plain Django site."""
    made, process, url = _django(Path(sys.executable), folder / "plain", "bench.editors.plain", sizes, {})
    return Editor("plain Django admin", url, process, _paths(made, sizes, made))


def wagtail(folder: Path, sizes: Sequence[int]) -> Editor:
    """Return Wagtail. Raises CannotError where it cannot be had."""
    python = environment.python("wagtail", WAGTAIL)
    made, process, url = _django(python, folder / "wagtail", "bench.editors.wagtail", sizes, {"PYTHONPATH": str(TOP)})
    pages: list[dict[str, Any]] = [json.loads(line) for line in made.splitlines() if line.startswith("{")]
    return Editor(
        "Wagtail", url, process,
        paths={size: page["path"] for size, page in zip(sizes, pages, strict=True)},
        kind=PARTS,
        inputs={size: page["inputs"] for size, page in zip(sizes, pages, strict=True)},
        versions={"wagtail": environment.version_of(python, "wagtail")},
    )  # fmt: skip


def _django(python: Path, home: Path, site: str, sizes: Sequence[int], extra: Mapping[str, str]) -> tuple[str, Process, str]:
    """Make the database of ``site`` and return what its ``fill`` printed, its server and its address."""
    home.mkdir(parents=True)
    port = free_port()
    env = {**os.environ, "BENCH_FOLDER": str(home), "DJANGO_SETTINGS_MODULE": f"{site}.settings", **extra}
    out = ""
    for command in (
        ["migrate", "--run-syncdb", "--verbosity", "0"],
        ["shell", "-c", f"from {site}.fill import fill; fill({list(sizes)})"],
    ):
        done = subprocess.run([python, "-m", "django", *command], env=env, cwd=TOP, capture_output=True, text=True)
        if done.returncode:
            raise CannotError(done.stderr.strip().splitlines()[-1])
        out = done.stdout
    command = gunicorn(python.with_name("gunicorn"), f"127.0.0.1:{port}", f"{site}.wsgi:application")
    return out, Process(site, command, env, TOP, home / "web.log"), f"http://127.0.0.1:{port}"


def _paths(printed: str, sizes: Sequence[int], trouble: str) -> dict[int, str]:
    paths = [line for line in printed.splitlines() if line.startswith("/")]
    if len(paths) != len(sizes):
        raise RuntimeError(f"{len(paths)} of {len(sizes)} pages were made: {trouble}")
    return dict(zip(sizes, paths, strict=True))

"""Who is measured in ``bench.sync``: servers that hold the records, and receivers that pull them, each a process of its own.

A receiver is a program that loads, speaks with its server once and says ``ready``; then it pulls once for each line on its standard
input and answers with ``{"seconds": …}``. So loading and pulling are told apart, for all alike.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bench import environment, replicas
from bench.measure import TOP, free_port, processor, wait_for
from bench.meter import Meter
from bench.resident import Resident
from deploy.local.processes import Process, stop
from deploy.local.replica import Replica

PIPE, MORANGO, SLEEPLESS = "shortest pipe", "Morango", "Morango, no sleeps"
POUCHDB_100, POUCHDB_1000 = "PouchDB, 100 a batch", "PouchDB, 1000 a batch"
GUNICORN = [
    "--config",
    "/dev/null",
    "--worker-class",
    "gthread",
    "--workers",
    "2",
    "--threads",
    "8",
    "--keep-alive",
    "15",
    "--preload",
]


class Side:
    """A server of ``count`` records in ``folder``, behind a meter. ``modes``: who pulls from it, name -> options of the receiver."""

    modes: Mapping[str, Sequence[str]]

    def __init__(self, folder: Path, count: int, records: Path) -> None:
        self.folder, self.count, self.records, self.port = folder, count, records, free_port()
        folder.mkdir()
        self.meter = Meter(self.port)
        self.process: Process | None = None
        self.versions: dict[str, str] = {}

    def start(self) -> None:
        """Make the records and start the server. Raises CannotError."""
        raise NotImplementedError

    def receiver(self, mode: str, number: int) -> Resident:
        """Start an empty receiver."""
        raise NotImplementedError

    def held(self, mode: str, number: int) -> int:
        """Return how many records a receiver has."""
        raise NotImplementedError

    def change(self, count: int) -> None:
        """Change ``count`` records on the server, a transaction each."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the server."""
        self.meter.close()
        if self.process:
            stop([self.process])

    def processor(self) -> float:
        """Return the processor seconds that the server has used."""
        assert self.process is not None and self.process.child is not None
        return processor(self.process.child.pid)

    def _serve(self, command: Sequence[str], env: Mapping[str, str], path: str) -> None:
        self.process = Process(type(self).__name__, command, env, TOP, self.folder / "server.log")
        self.process.start()
        try:
            wait_for(f"http://127.0.0.1:{self.port}{path}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.process.tail()}") from error

    def _place(self, mode: str, number: int) -> Path:
        folder = self.folder / f"{''.join(filter(str.isalnum, mode))}-{number}"
        folder.mkdir(exist_ok=True)
        return folder


class Edgecms(Side):
    """A master with an author's records, ``each`` of them a changeset, kept as if they had been written there; and edges."""

    each = 1

    def __init__(self, folder: Path, count: int, records: Path, rounds: int) -> None:
        super().__init__(folder, count, records)
        # Also in the list that it publishes it is reached through the meter.
        self.master = replicas.make("MASTER01", "master", folder / "master", port=self.port, EDGECMS_URL=self.meter.url)
        self.edges = [
            replicas.make(f"EDGE{number:02}", "edge", folder / f"edge{number}", farm="bench") for number in range(1, rounds + 1)
        ]

    def start(self) -> None:
        """See ``Side``."""
        trust = [replicas.introduction(edge) for edge in self.edges]
        replicas.inside(self.master, "prepare", trust=trust, count=self.count, each=self.each)
        for edge in self.edges:
            replicas.inside(edge, "prepare", trust=[replicas.introduction(self.master, url=self.meter.url)])
        self._serve(self.master.web.command, self.master.env, "/readyz")

    def _edge(self, number: int) -> Replica:
        return self.edges[number - 1]

    def receiver(self, mode: str, number: int) -> Resident:
        """See ``Side``."""
        arguments = json.dumps({"peer": self.master.name})
        command = [sys.executable, "-m", "bench.inside", "receive", arguments]
        return Resident(command, self._edge(number).env, self.folder / f"edge{number}.log")

    def held(self, mode: str, number: int) -> int:
        """See ``Side``."""
        return replicas.count(self._edge(number))

    def change(self, count: int) -> None:
        """See ``Side``."""
        replicas.inside(self.master, "change", count=count)


class Singles(Edgecms):
    """Each record its own signed changeset."""

    modes = {"edgecms, 1 a changeset": []}


class Hundreds(Edgecms):
    """A hundred records a changeset, as an import makes them."""

    each = 100
    modes = {"edgecms, 100 a changeset": []}


class Pipe(Side):
    """The limit."""

    modes = {PIPE: []}

    def start(self) -> None:
        """See ``Side``."""
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        command = [gunicorn, *GUNICORN, "--no-control-socket", "--bind", f"127.0.0.1:{self.port}", "bench.pipe:app"]
        self._serve(command, {**os.environ, "BENCH_RECORDS": str(self.records)}, "/0")

    def receiver(self, mode: str, number: int) -> Resident:
        """See ``Side``."""
        database = self._place(mode, number) / "records.sqlite3"
        return Resident(
            [sys.executable, "-m", "bench.pipe", self.meter.url, str(database)], os.environ, self.folder / f"{number}.log"
        )

    def held(self, mode: str, number: int) -> int:
        """See ``Side``."""
        return _count(self._place(mode, number) / "records.sqlite3", "record")

    def change(self, count: int) -> None:
        """Nothing: it sends as many records again."""


class Morango(Side):
    """Morango 0.8.15, of Learning Equality: Django models by certificates and partitions, what Kolibri syncs with."""

    modes = {MORANGO: [], SLEEPLESS: ["--without-sleeps"]}
    packages = ("morango==0.8.15", "gunicorn==23.*")

    def _env(self, database: Path) -> dict[str, str]:
        return {**os.environ, "BENCH_DATABASE": str(database), "PYTHONPATH": str(TOP)}

    def _work(self, database: Path, *args: str) -> None:
        command = [str(self.python), "-m", "bench.morango_site.work", *args]
        done = subprocess.run(command, env=self._env(database), cwd=TOP, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")

    def start(self) -> None:
        """See ``Side``."""
        self.python = environment.python("morango", self.packages)
        self.versions = {name: environment.version_of(self.python, name) for name in ("morango",)}
        self.empty, self.full = self.folder / "empty.sqlite3", self.folder / "server.sqlite3"
        self._work(self.empty, "prepare")
        shutil.copy(self.empty, self.full)
        self._work(self.full, "fill", str(self.count))
        gunicorn = str(self.python.with_name("gunicorn"))
        command = [gunicorn, *GUNICORN, "--bind", f"127.0.0.1:{self.port}", "bench.morango_site.wsgi"]
        self._serve(command, self._env(self.full), "/api/morango/v1/morangoinfo/1/")

    def receiver(self, mode: str, number: int) -> Resident:
        """See ``Side``."""
        database = self._place(mode, number) / "receiver.sqlite3"
        shutil.copy(self.empty, database)
        command = [str(self.python), "-m", "bench.morango_site.work", "receive", self.meter.url, *self.modes[mode]]
        return Resident(command, self._env(database), database.with_suffix(".log"))

    def held(self, mode: str, number: int) -> int:
        """See ``Side``."""
        return _count(self._place(mode, number) / "receiver.sqlite3", "morango_site_record")

    def change(self, count: int) -> None:
        """See ``Side``."""
        self._work(self.full, "change", str(count))


class PouchDB(Side):
    """PouchDB 9 on leveldb, which does not sync to the disk, behind express-pouchdb."""

    modes = {POUCHDB_100: ["100"], POUCHDB_1000: ["1000"]}
    packages = {"pouchdb-node": "9", "express-pouchdb": "4", "express": "4"}

    def _env(self) -> dict[str, str]:
        return {**os.environ, "NODE_PATH": str(self.modules / "node_modules")}

    def start(self) -> None:
        """See ``Side``."""
        self.modules = environment.node("pouchdb", self.packages)
        for package in ("pouchdb-node", "express-pouchdb"):
            found = json.loads((self.modules / "node_modules" / package / "package.json").read_text())
            self.versions[package] = found["version"]
        self.versions["node"] = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
        (self.folder / "server").mkdir()
        script = str(TOP / "bench" / "pouchdb" / "server.js")
        command = ["node", script, str(self.folder / "server"), str(self.port), str(self.records)]
        self._serve(command, self._env(), "/records")

    def receiver(self, mode: str, number: int) -> Resident:
        """See ``Side``."""
        folder = self._place(mode, number)
        script = str(TOP / "bench" / "pouchdb" / "receive.js")
        return Resident(["node", script, str(folder), self.meter.url, *self.modes[mode]], self._env(), folder / "receiver.log")

    def held(self, mode: str, number: int) -> int:
        """Nothing: leveldb belongs to the process that has it open, so the receiver itself says what it holds."""
        return 0

    def change(self, count: int) -> None:
        """See ``Side``."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_bench/change?count={count}", method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass


def _count(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

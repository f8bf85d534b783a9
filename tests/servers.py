"""Real servers that tests start from the binaries they find, each in a folder of its own, each gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis

T = TypeVar("T")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find(*names: str) -> str | None:
    """Return the path of the first of these programs that is installed; PostgreSQL's and the system's own folders count."""
    folders = [
        *os.environ.get("PATH", "").split(os.pathsep),
        *_postgresql_folders(),
        "/usr/sbin",
        "/usr/local/sbin",
    ]
    return next((path for name in names if (path := shutil.which(name, path=os.pathsep.join(folders)))), None)


def _postgresql_folders() -> list[str]:
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return [str(path) for path in sorted(found, key=lambda path: float(path.parent.name), reverse=True)]


def require(*names: str) -> str:
    """Return the path of the first of these programs. Where none is installed the test is skipped, and fails with CI=true."""
    if path := find(*names):
        return path
    reason = f"{' or '.join(names)} is not installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true asks for it")
    pytest.skip(reason)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(fact: Callable[[], T], timeout: float = 30.0, pause: float = 0.1) -> T:
    """Return what ``fact`` returns once it is true. Errors count as not yet; the last one is shown when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        last: object = None
        try:
            if last := fact():
                return last  # type: ignore[return-value]
        except Exception as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} seconds; the last answer was {last!r}")
        time.sleep(pause)


# Reads until a line comes, which calls it off, or its input ends, as it does when the owner is killed: then ends server and folder.
GUARD = """
read -r _ && exit
kill -s "$1" "$2"
for _ in $(seq 100); do kill -0 "$2" || break; sleep 0.1; done
rm -rf "$3"
"""


class Server:
    """A program that runs in a temporary folder. Subclasses say how it is started and when it answers.

    It ends with the process that started it, and its folder goes too, even if that is killed.
    """

    ends_by = "KILL"  # the signal that ends it at once, with all its processes

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"edgecms-{type(self).__name__.lower()}-"))
        self.child: subprocess.Popen[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None
        self.account: str | None = None

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Say whether the server takes requests; an error counts as no."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers. Raises AssertionError with its log where it does not."""
        user = {"user": self.account, "group": pwd.getpwnam(self.account).pw_gid, "extra_groups": []} if self.account else {}
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                self.command(), cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **user
            )
        self._set_guard(self.child.pid)
        try:
            eventually(self.answers)
        except AssertionError as error:
            raise AssertionError(f"{type(self).__name__} did not start: {(self.folder / 'log').read_text()}") from error

    def stop(self) -> None:
        """End it in good order."""
        self._end(lambda child: child.terminate())

    def kill(self) -> None:
        """End it as ``kill -9`` does; ``start`` brings it back on the same address."""
        self._end(lambda child: child.kill())

    def close(self) -> None:
        """End it and forget its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _set_guard(self, pid: int) -> None:
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", self.ends_by, str(pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self.guard is not None:
            self.guard.communicate(b"\n")
            self.guard = None
        if self.child is not None:
            how(self.child)
            self.child.wait(30)
            self.child = None


class PostgreSQL(Server):
    """A PostgreSQL cluster that is reached by a socket in its own folder, so that no port can clash.

    Its programs refuse to run as root; under root they run as ``postgres`` or ``nobody``. ``durable`` keeps fsync on.
    ``disks``: what is made of the folders ``data`` and ``wal`` before anything is written to them; a small file system, say.
    """

    ends_by = "QUIT"  # killed it would leave a piece of shared memory

    def __init__(self, durable: bool = False, disks: Callable[[Path], None] = lambda folder: None) -> None:
        self.postgres, self.initdb = require("postgres"), require("initdb")
        super().__init__()
        self.durable = durable
        if os.getuid() == 0:
            self.account = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody"))
            shutil.chown(self.folder, self.account)
        for name in ("data", "wal"):
            (self.folder / name).mkdir(mode=0o700)
        disks(self.folder)
        if self.account:
            for name in ("data", "wal"):
                shutil.chown(self.folder / name, self.account)
        user = {"user": self.account, "group": pwd.getpwnam(self.account).pw_gid, "extra_groups": []} if self.account else {}
        places = ["-D", str(self.folder / "data"), "-X", str(self.folder / "wal"), "--wal-segsize=1"]
        command = [self.initdb, *places, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **user)
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self) -> list[str]:
        fsync = "on" if self.durable else "off"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": fsync,
            "max_connections": "200",
            "min_wal_size": "4MB",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [self.postgres, "-D", str(self.folder / "data"), "-p", "5432", *settings]

    def answers(self) -> bool:
        with self.connect():
            return True

    def stop(self) -> None:
        """End it in good order without waiting for its clients, which SIGTERM would."""
        self._end(lambda child: child.send_signal(signal.SIGINT))

    def connect(self, name: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection of one's own to a database of this cluster."""
        return psycopg.connect(host=str(self.folder), port=5432, user="postgres", dbname=name, autocommit=True)

    def database(self) -> str:
        """Make an empty database and return its ``DATABASE_URL``."""
        name = f"edgecms_{uuid.uuid4().hex[:12]}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgres://postgres@localhost:5432/{name}?host={self.folder}"


class Redis(Server):
    """A Redis without persistence: what it held is gone with it, which is the worst that can happen."""

    def __init__(self) -> None:
        self.binary = require("redis-server")
        super().__init__()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            return bool(client.ping())

    def empty(self) -> None:
        """Forget everything it holds."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


class Nginx(Server):
    """An nginx on a port of its own: with one server block, in which ``locations`` stands; or as the whole of ``site`` says.

    ``site`` is a configuration as in ``conf.d``, whose ``listen 80`` becomes that port.
    """

    def __init__(self, locations: str = "", site: str = "") -> None:
        self.binary = require("nginx")
        super().__init__()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder.chmod(0o755)
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        block = site.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary}\n"
            + (block or f"server {{ listen 127.0.0.1:{self.port};\n{locations}\n}}")
            + " }\n"
        )

    def command(self) -> list[str]:
        return [self.binary, "-p", str(self.folder), "-e", "stderr", "-c", str(self.folder / "nginx.conf")]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def kill(self) -> None:
        """End master and workers: killed alone, the master would leave its workers with the port."""
        self.stop()

"""One replica as an operator runs it: environment variables, ``manage.py``, gunicorn and ``sync_worker``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.processes import Process, stop

TOP = Path(__file__).resolve().parent.parent.parent
# Variables of the caller that would change what a replica is; everything else (PATH, locale, proxies) is passed on.
OURS = ("EDGECMS_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED", "GUNICORN_")


class CommandError(RuntimeError):
    """A command of a replica ended with another status than 0; the text has the command and what it wrote."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit status, what it wrote, and its ``--json`` answer parsed (None where it gave none)."""

    code: int
    stdout: str
    stderr: str
    answer: Any


@dataclass
class Replica:
    """A replica in ``folder`` on ``port``; its name is ``NODE-LOC``. ``extra`` are further environment variables."""

    node: str
    loc: str
    role: str
    farm: str
    folder: Path
    port: int
    database_url: str = ""
    redis_url: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder).resolve()
        gunicorn = [str(Path(sys.executable).with_name("gunicorn")), "--bind", f"127.0.0.1:{self.port}", "edgecms.wsgi"]
        self.web = self._process("web", gunicorn)
        self.worker = self._process("worker", [sys.executable, "manage.py", "sync_worker"])

    @property
    def name(self) -> str:
        """``NODE-LOC``, as other replicas know it."""
        return f"{self.node}-{self.loc}"

    @property
    def url(self) -> str:
        """Where the others reach it."""
        return f"http://localhost:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of its processes."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        own = {
            "EDGECMS_NODE": self.node,
            "EDGECMS_LOC": self.loc,
            "EDGECMS_ROLE": self.role,
            "EDGECMS_FARM": self.farm,
            "EDGECMS_DATA": str(self.folder),
            "EDGECMS_URL": self.url,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "PYTHONUNBUFFERED": "1",
        }
        return {**inherited, **own, **self.extra}

    def _process(self, name: str, command: list[str]) -> Process:
        return Process(f"{self.name} {name}", command, self.env, TOP, self.folder / f"{name}.log")

    def manage(self, *args: str, parse: bool = False, env: dict[str, str] | None = None) -> Outcome:
        """Run ``manage.py`` to its end; with ``parse`` add ``--json`` and parse the answer. Never raises for a status."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "manage.py", *args, *(["--json"] if parse else [])]
        done = subprocess.run(  # noqa: S603
            command, env={**self.env, **(env or {})}, cwd=TOP, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        return Outcome(done.returncode, done.stdout, done.stderr, _parsed(done.stdout) if parse else None)

    def must(self, *args: str, parse: bool = False, env: dict[str, str] | None = None) -> Any:
        """Run ``manage.py`` and return its answer. Raises CommandError for any status but 0."""
        outcome = self.manage(*args, parse=parse, env=env)
        if outcome.code or (parse and outcome.answer is None):
            wrote = f"{outcome.stdout}\n{outcome.stderr}".strip()
            raise CommandError(f"{self.name}: manage.py {' '.join(args)} ended with status {outcome.code}:\n{wrote}")
        return outcome.answer

    def trust(self, other: Replica, key: str) -> None:
        """Put ``other`` on the trusted list of this replica, with its public key."""
        farm = ["--farm", other.farm] if other.farm else []
        self.must("sync_trust", other.name, "--role", other.role, *farm, "--url", other.url, "--key", key, parse=True)

    def start_web(self) -> None:
        """Start gunicorn; it is ready when ``ready`` says so."""
        self.web.env = self.env
        self.web.start()

    def start_worker(self) -> None:
        """Start ``sync_worker``."""
        self.worker.env = self.env
        self.worker.start()

    def stop(self) -> None:
        """End both processes in good order."""
        stop([self.web, self.worker])

    def kill(self) -> None:
        """End both processes as ``kill -9`` does."""
        self.web.kill()
        self.worker.kill()

    def why_not_ready(self) -> str:
        """Return what ``/readyz`` has against this replica, or an empty text when it is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10):  # noqa: S310 - our own address
                return ""
        except urllib.error.HTTPError as error:
            return f"/readyz answers {error.code}: {error.read(2000).decode(errors='replace')}"
        except OSError as error:
            return f"{self.url} does not answer: {error}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None

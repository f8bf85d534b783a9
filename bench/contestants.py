"""Who is measured in ``bench.pages``: each a server of the same pages on a port of its own, with the same gunicorn settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import environment
from bench.frame import CannotError
from bench.measure import TOP, free_port
from deploy.local.processes import Process

GUNICORN = Path(sys.executable).with_name("gunicorn")
HELLO, NGINX = "gunicorn, hello world", "nginx, static files"
WAGTAIL = ("wagtail==7.4.*", "wagtail-cache==3.*", "gunicorn==27.*")


@dataclass
class Contestant:
    """A server and the paths of its pages. ``process`` is None where it runs already; ``why_not`` where it cannot be had."""

    name: str
    url: str
    paths: Sequence[str]
    process: Process | None = None
    why_not: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def gunicorn(python: Path, bind: str, application: str) -> list[str]:
    """gunicorn as edgecms ships it, but for what belongs to edgecms."""
    options = ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--keep-alive", "15", "--preload"]
    return [str(python), "--config", "/dev/null", "--no-control-socket", "--bind", bind, *options, application]


def wsgi(name: str, application: str, folder: Path, paths: Sequence[str], **env: str) -> Contestant:
    """Return an application of ``bench.plain`` under gunicorn."""
    bind = f"127.0.0.1:{free_port()}"
    process = Process(
        name,
        gunicorn(GUNICORN, bind, application),
        {**os.environ, **env},
        TOP,
        folder / f"{application.partition(':')[2]}.log",
    )
    return Contestant(name, f"http://{bind}", paths, process)


def nginx(name: str, folder: Path, site: str, paths: Sequence[str], bind: str = "") -> Contestant:
    """Return nginx with the configuration ``site`` in a folder of its own, two workers; ``bind``: where else than on a free port."""
    binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    bind = bind or f"127.0.0.1:{free_port()}"
    if binary is None:
        return Contestant(name, "", paths, why_not="nginx is not installed")
    folder.mkdir(parents=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} worker_processes 2; pid {folder}/pid; error_log stderr; events {{ worker_connections 512; }}\n"
        # sendfile and tcp_nopush as Debian sets them.
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; {temporary}\n"
        + site.replace("listen 80;", f"listen {bind};")
        + "\n}\n"
    )
    command = [binary, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    return Contestant(name, f"http://{bind}", paths, Process(name, command, os.environ, TOP, folder / "nginx.log"))


def wagtail(folder: Path, count: int, cached: bool, bind: str = "") -> Contestant:
    """Return Wagtail with ``count`` pages of the same text, in an environment of its own that is made on demand."""
    name = "Wagtail + wagtail-cache" if cached else "Wagtail"
    try:
        python = environment.python("wagtail", WAGTAIL)
        bind, home = bind or f"127.0.0.1:{free_port()}", folder / ("wagtail-cache" if cached else "wagtail")
        env = {**os.environ, "BENCH_FOLDER": str(home), "BENCH_CACHED": "1" if cached else "", "PYTHONPATH": str(TOP)}
        env["DJANGO_SETTINGS_MODULE"] = "bench.wagtail_site.settings"
        home.mkdir(parents=True)
        for command in (
            ["migrate", "--verbosity", "0"],
            ["shell", "-c", f"from bench.wagtail_site import fill; fill.pages({count})"],
        ):
            subprocess.run([python, "-m", "django", *command], env=env, cwd=home, check=True, capture_output=True, text=True)
    except (CannotError, OSError, subprocess.CalledProcessError) as error:
        return Contestant(name, "", (), why_not=str(getattr(error, "stderr", "") or error).strip().splitlines()[-1])
    command = gunicorn(python.with_name("gunicorn"), bind, "bench.wagtail_site.wsgi:application")
    paths = [f"/page-{number}/" for number in range(count)]
    found = {package: environment.version_of(python, package) for package in ("wagtail", "wagtail-cache")}
    process = Process(name, command, env, home, home / "web.log")
    return Contestant(name, f"http://{bind}", paths, process, versions=found)


def warm(contestant: Contestant, look: Callable[[str], bool]) -> None:
    """Ask for every page once. Raises RuntimeError where one is not what it should be: a figure for less would be a lie."""
    for path in contestant.paths:
        with urllib.request.urlopen(contestant.url + path, timeout=30) as answer:
            if not look(answer.read().decode()):
                raise RuntimeError(f"{contestant.name} answers {path} with something else than the page")

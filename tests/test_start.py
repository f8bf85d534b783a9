"""Commands start fast: what they do not need is not loaded. Named, not timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
# What only web servers, exchanges, imports of pages or installations with Redis or PostgreSQL need.
NOT_FOR_STATUS = (
    "PIL",
    "content.admin",
    "content.api",
    "content.editor",
    "content.forms",
    "content.importing",
    "content.public.pages",
    "content_editor.admin",
    "django_extensions.management",
    "drf_spectacular.openapi",
    "edgecms.urls",
    "edgecms.wsgi",
    "gunicorn",
    "http_message_signatures",
    "httpx2",
    "huey",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pygments",
    "redis",
    "rest_framework.views",
    "rich",
    "sync.admin",
    "sync.api",
    "sync.backup",
    "sync.client",
    "sync.inbox",
    "sync.simulator",
    "sync.sweep",
    "yaml",
)
RUN = """
import runpy, sys
sys.argv = ["manage.py", *sys.argv[1:]]
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    print("\\n".join(sys.modules), file=sys.stderr)
"""


def loaded(tmp_path: Path, *command: str) -> set[str]:
    """Return the modules that ``manage.py command`` has loaded when it ends."""
    env = {
        **os.environ,
        "EDGECMS_DATA": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "edgecms.settings",
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }
    for needed in (["migrate", "--verbosity", "0"], None):
        args = [sys.executable, "manage.py", *needed] if needed else [sys.executable, "-c", RUN, *command]
        done = subprocess.run(args, cwd=TOP, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("command", ["sync_status", "sync_identity", "sync_conflicts"])
def test_a_command_that_only_looks_loads_no_web_no_queue_and_no_client(tmp_path: Path, command: str) -> None:
    """Neither Django's admin with all that is registered there, nor REST framework, huey, HTTP clients, Redis, PostgreSQL, pictures."""
    found = loaded(tmp_path, command, "--json")
    assert {"django", "sync.models", "content.models"} <= found
    assert sorted(found & set(NOT_FOR_STATUS)) == []


def test_the_names_of_what_is_not_loaded_are_right() -> None:
    """A name that nobody could load would say nothing: all of them are modules of this project or of its packages."""
    code = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "edgecms.settings"}
    done = subprocess.run([sys.executable, "-c", code, *NOT_FOR_STATUS], cwd=TOP, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr

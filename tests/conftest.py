"""What every test may ask for. Servers are started once a session, from the binaries that are installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import CHROMIUM, PostgreSQL, Redis, require

# pytest-playwright keeps an event loop in the main thread, which Django takes for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(autouse=True, scope="session")
def no_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the session, and every program that it starts, an empty home: nothing depends on whose machine this is."""
    home = tmp_path_factory.mktemp("home")
    os.environ["HOME"] = str(home)
    for variable in [name for name in os.environ if name.startswith(("XDG_", "PG", "GUNICORN_"))]:
        del os.environ[variable]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A running PostgreSQL; its ``database()`` makes an empty database and returns the DATABASE_URL."""
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis without persistence; ``url`` is its REDIS_URL. A test that kills it starts it again."""
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How pytest-playwright starts the Chromium of this system; one of its own is never downloaded."""
    flags = ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    flags += ["disable-component-update", "disable-sync"]
    return {"executable_path": require(*CHROMIUM), "headless": True, "args": [f"--{flag}" for flag in flags]}

"""The servers that other tests lean on keep their own promises."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
import redis
from playwright.sync_api import Page

from deploy.local.processes import command_line
from tests.servers import Nginx, PostgreSQL, Redis, eventually, require


@pytest.mark.postgresql
def test_each_postgresql_database_is_fresh(postgresql_server: PostgreSQL) -> None:
    """Two tests on one PostgreSQL server do not see each other's tables."""
    first, second = postgresql_server.database(), postgresql_server.database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE seen (n int)")
    with psycopg.connect(second) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'seen'").fetchone()
    assert found == (0,)


@pytest.mark.redis
def test_redis_comes_back_empty_on_the_same_address(redis_server: Redis) -> None:
    """A Redis that was killed and started again is reached by the same REDIS_URL and has forgotten everything."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("wake", "up")
    redis_server.kill()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("wake") is None


OWNER = """
import sys
from tests.servers import PostgreSQL
server = PostgreSQL()
server.start()
print(server.child.pid, server.folder, flush=True)
sys.stdin.read()  # to its end, which comes with that of the test
"""


@pytest.mark.postgresql
def test_a_server_ends_with_its_owner_even_if_that_is_killed(postgresql_server: PostgreSQL) -> None:
    """Nobody who kills a test run has to look for its PostgreSQL and its folder afterwards."""
    top = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=top, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        assert Path(folder).is_dir() and is_postgres(int(pid))
        owner.kill()
    eventually(lambda: not is_postgres(int(pid)) and not Path(folder).exists())


def is_postgres(pid: int) -> bool:
    """Say whether ``pid`` is a PostgreSQL that has not ended; one that nobody waits for has no command line any more."""
    return any("postgres" in word for word in command_line(pid))


def test_nginx_answers_from_a_folder() -> None:
    """An nginx started by a test serves what its locations say."""
    server = Nginx("location / { return 200 'from nginx'; }")
    try:
        server.start()
        with urllib.request.urlopen(server.url) as answer:
            assert answer.read() == b"from nginx"
    finally:
        server.close()


def test_absent_program_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed skips its test with the reason, and fails it with CI=true."""
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed here"):
        require("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI=true"):
        require("no-such-program")


@pytest.mark.browser
def test_browser_is_the_one_of_this_system(page: Page) -> None:
    """A browser test gets a page of the Chromium that is installed, and it runs scripts."""
    page.set_content("<h1>a page</h1><script>document.querySelector('h1').textContent += ' that runs'</script>")
    assert page.inner_text("h1") == "a page that runs"

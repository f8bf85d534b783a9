"""Databases of a server that are taken back and copied, with PostgreSQL's own programs, as operators do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.test_restored import SEQUENCES, Site, assert_healed, origin, sites, titles, write
from tests.cluster.zygote import Zygote
from tests.servers import PostgreSQL, free_port, require

pytestmark = [pytest.mark.cluster, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQL) -> Iterator[Site]:
    """A master on SQLite and two edges of one farm, the first on PostgreSQL; each test goes on where the one before ended."""
    yield from sites(tmp_path_factory.mktemp("restored"), postgresql_server.database())


def name_of(url: str) -> str:
    """Return the name of the database that a DATABASE_URL names."""
    return urlsplit(url).path[1:]


def tool(server: PostgreSQL, program: str, *args: str) -> None:
    """Run a program of PostgreSQL against ``server``. Raises AssertionError with what it wrote."""
    command = [require(program), "-h", str(server.folder), "-U", "postgres", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def assert_no_number_is_given_out_twice(site: Site) -> None:
    """Of the changesets of the first edge, as the master holds them."""
    made = site.master.answer(SEQUENCES, name=site.first.replica.name)
    assert len({tuple(place) for place in made}) == len(made)


def test_a_database_put_back_from_a_dump(site: Site, postgresql_server: PostgreSQL, tmp_path: Path) -> None:
    """What was written after the dump comes back from peers, what is written after it was put back bears other numbers."""
    edge, dump = site.first, str(tmp_path / "yesterday.sql")
    name = name_of(edge.replica.database_url)
    write(edge, "Before the dump")
    tool(postgresql_server, "pg_dump", "--clean", "--if-exists", "-f", dump, name)
    before = origin(edge)
    write(edge, "After the dump")
    site.exchange()
    site.down(edge)
    tool(postgresql_server, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, name)
    assert "After the dump" not in titles(edge)
    site.up(edge)
    write(edge, "Put back")
    assert origin(edge) != before
    site.exchange()
    assert_healed(site, "Before the dump", "After the dump", "Put back")
    assert_no_number_is_given_out_twice(site)


def test_a_copied_database_that_runs_beside_its_original(site: Site, postgresql_server: PostgreSQL, tmp_path: Path) -> None:
    """``CREATE DATABASE … TEMPLATE`` and a copied folder: the copy takes another incarnation, the original keeps its own."""
    edge = site.first
    url, name = edge.replica.database_url, name_of(edge.replica.database_url)
    twin = replace(edge.replica, folder=tmp_path / "twin", port=free_port(), database_url=url.replace(name, f"{name}_twin"))
    before = origin(edge)
    site.down(edge)
    with postgresql_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}_twin TEMPLATE {name}".encode())
    shutil.copytree(edge.replica.folder, twin.folder)
    site.up(edge)
    with Zygote(twin) as copy:
        write(copy, "Of the copy")
        write(edge, "Of the original")
        assert origin(copy) != origin(edge) == before
        copy.must("sync_push")
    site.exchange()
    assert_healed(site, "Of the copy", "Of the original")
    assert_no_number_is_given_out_twice(site)


def test_a_copy_that_takes_the_place_of_its_original(site: Site, postgresql_server: PostgreSQL) -> None:
    """Renamed to the name of the original, with the folder as it is: only the server can tell the two apart."""
    edge, name = site.first, name_of(site.first.replica.database_url)
    before = origin(edge)
    site.down(edge)
    with postgresql_server.connect() as connection:
        for statement in (
            f"CREATE DATABASE {name}_copy TEMPLATE {name}",
            f"ALTER DATABASE {name} RENAME TO {name}_kept",
            f"ALTER DATABASE {name}_copy RENAME TO {name}",
        ):
            connection.execute(statement.encode())
    site.up(edge)
    write(edge, "In the copy")
    assert origin(edge) != before
    site.exchange()
    assert_healed(site, "In the copy")
    assert_no_number_is_given_out_twice(site)

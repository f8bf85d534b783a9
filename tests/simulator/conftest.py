"""Databases of simulated replicas: made once a session."""

from collections.abc import Iterator

import pytest

from sync.simulator.runs import found_sites
from sync.simulator.stores import SqliteStores


@pytest.fixture(scope="session")
def stores(django_db_blocker) -> Iterator[SqliteStores]:
    """In memory, apart from the database of the tests."""
    with django_db_blocker.unblock(), SqliteStores() as found:
        found_sites(found)
        yield found

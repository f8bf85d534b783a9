"""What the tests of content share."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from content.pagecache import stale
from tests.content.reading import Reader


@pytest.fixture
def reader() -> Iterator[Reader]:
    """A reader, and an empty folder."""
    with transaction.atomic():
        for addresses in stale.EVERYTHING:
            stale.announce(addresses)
    yield Reader()

"""The first half of the seeds; two files, so that two processes share them."""

import pytest

from tests.simulator.seeds import CHUNK, IN_ALL, must_pass


@pytest.mark.parametrize("start", range(1, IN_ALL // 2 + 1, CHUNK))
def test_every_promise_is_kept(start, stores):
    """Whatever befalls the replicas of these runs: healed, they are equal, and nothing that was acknowledged is lost."""
    must_pass(start, stores)

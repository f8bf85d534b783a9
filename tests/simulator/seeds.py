"""Running many seeds in a test: the first failure ends it, made as short as it gets."""

from sync.simulator.report import describe
from sync.simulator.runs import run_seed, smallest
from sync.simulator.stores import SqliteStores

IN_ALL = 500
CHUNK = 25  # seeds of one test


def must_pass(start: int, stores: SqliteStores) -> None:
    """Run ``CHUNK`` seeds. Raises AssertionError with the seed and the shortest script."""
    for seed in range(start, start + CHUNK):
        outcome = run_seed(seed, stores)
        assert not outcome.failed, describe(smallest(outcome, stores))

"""The longest common subsequence: common, longest, and bounded."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.lcs import VERSION, Budget, TooCostlyError, hunks, pairs

SEQUENCES = st.text("abc", max_size=14)


def length(one, other):
    """Return the length of a longest common subsequence, from its definition."""
    row = [0] * (len(other) + 1)
    for a in one:
        above = row
        row = [0]
        for place, b in enumerate(other, 1):
            row.append(above[place - 1] + 1 if a == b else max(above[place], row[-1]))
    return row[-1]


@given(SEQUENCES, SEQUENCES)
def test_it_is_common_and_none_is_longer(one, other):
    """Ascending on both sides, equal at each pair, and as long as the textbook's table says."""
    found = pairs(one, other, Budget(10_000))
    assert all(one[x] == other[y] for x, y in found)
    assert all(x < u and y < v for (x, y), (u, v) in pairwise(found))
    assert len(found) == length(one, other)


@given(SEQUENCES, SEQUENCES)
def test_hunks_rebuild_the_other(one, other):
    """What is between the hunks is common; what is in them is all that differs."""
    rebuilt, place = "", 0
    for start, end, begin, stop in hunks(one, other, Budget(10_000)):
        rebuilt += one[place:start] + other[begin:stop]
        place = end
    assert rebuilt + one[place:] == other


def test_the_choice_among_equals_is_written_down():
    """Replicas of two releases must choose alike: whoever changes this raises VERSION."""
    assert (VERSION, pairs("abcabba", "cbabac", Budget(1000))) == (1, [(2, 0), (3, 2), (4, 3), (6, 4)])


def test_work_is_bounded():
    """What has nothing in common costs the square, and stops at the bound."""
    before = time.process_time()
    with pytest.raises(TooCostlyError):
        pairs(range(100_000), range(100_000, 200_000), Budget(300_000))
    assert time.process_time() - before < 2

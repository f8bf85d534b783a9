"""The hybrid logical clock only grows, and stays near the wall."""

from hypothesis import given
from hypothesis import strategies as st

from sync.core.clock import Timestamp

STAMPS = st.builds(Timestamp, st.integers(0, 2**50), st.integers(0, 2**20))
WALLS = st.integers(0, 2**50)


@given(STAMPS, WALLS)
def test_the_next_stamp_is_greater(clock, wall):
    """Also where the wall clock has jumped back."""
    assert clock.next(wall) > clock


@given(STAMPS, WALLS)
def test_the_next_stamp_is_no_earlier_than_the_wall(clock, wall):
    """And no later than the later of wall and clock."""
    following = clock.next(wall)
    assert following.ms == max(clock.ms, wall)


@given(STAMPS, STAMPS, WALLS)
def test_what_follows_a_merge_is_later_than_both(mine, theirs, wall):
    """A write made after something was seen is later than it: cause is respected."""
    assert mine.merge(theirs).next(wall) > max(mine, theirs)


@given(STAMPS, WALLS, st.integers(0, 10**6))
def test_a_stamp_is_ahead_only_beyond_the_drift(stamp, wall, drift):
    """The bound itself is still near enough."""
    assert stamp.is_ahead(wall, drift) == (stamp.ms - wall > drift)

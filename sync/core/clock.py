"""A hybrid logical clock: stamps that respect cause and stay near wall time.

After Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014.
"""

from __future__ import annotations

from typing import NamedTuple


class Timestamp(NamedTuple):
    """``ms``: milliseconds since 1970 in UTC; ``counter``: order within one millisecond. Compared as a pair."""

    ms: int
    counter: int

    def next(self, wall_ms: int) -> Timestamp:
        """Return the stamp of a write made now: greater than this one, and no less than the wall clock."""
        if wall_ms > self.ms:
            return Timestamp(wall_ms, 0)
        return Timestamp(self.ms, self.counter + 1)

    def merge(self, other: Timestamp) -> Timestamp:
        """Return the clock after ``other`` was applied: the greater of both."""
        return max(self, other)

    def is_ahead(self, wall_ms: int, drift_ms: int) -> bool:
        """Say whether this stamp runs ahead of the wall clock by more than the drift allowed."""
        return self.ms > wall_ms + drift_ms


ZERO = Timestamp(0, 0)

"""Random histories of one row: writes that have seen what their author held, as Hypothesis strategies."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from sync.core.register import Row

KEYS = ("title", "tags/a", "data/html")


@dataclass(frozen=True)
class Event:
    """One changeset's effect on the row: writes (key -> dots overwritten), or a deletion with what it had seen."""

    dot: bytes
    writes: tuple[tuple[str, tuple[bytes, ...]], ...]
    seen: tuple[bytes, ...] | None = None

    def apply(self, row: Row) -> None:
        """Apply this to ``row``."""
        for key, over in self.writes:
            row.write(key, self.dot, over)
        if self.seen is not None:
            row.delete(self.dot, self.seen)


def settle(row: Row, applied: list[Event]) -> Row:
    """Return ``row`` after forgetting what is known, as the database does at the end of a batch."""
    written = {(key, event.dot) for event in applied for key, _ in event.writes}
    row.forget(lambda key, dot: (key, dot) in written)
    return row


def rebuilt(events: list[Event]) -> Row:
    """Return the row of ``events`` applied one after another, from the rules' own words: heads are what nobody names."""
    row = Row()
    for key in KEYS:
        written = {event.dot for event in events if any(name == key for name, _ in event.writes)}
        named = {dot for event in events for name, over in event.writes if name == key for dot in over}
        if written:
            row.heads[key] = tuple(sorted(written - named))
            if named - written:
                row.gone[key] = named - written
    row.deletes = {event.dot: frozenset(event.seen) for event in events if event.seen is not None}
    return row


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Up to three replicas write, delete and exchange; the events in an order in which causes come first."""
    held: list[list[Event]] = [[], [], []]
    made: list[Event] = []
    for number in range(draw(st.integers(1, 14))):
        replica = draw(st.integers(0, 2))
        action = draw(st.sampled_from(["write", "write", "write", "delete", "exchange"]))
        mine = held[replica]
        if action == "exchange":
            other = held[draw(st.integers(0, 2))]
            mine.extend(event for event in other if event not in mine)
            continue
        state = rebuilt(mine)
        dot = number.to_bytes(16, "big")
        if action == "delete":
            event = Event(dot, (), tuple(state.dots()))
        else:
            keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
            event = Event(dot, tuple((key, state.heads.get(key, ())) for key in keys))
        mine.append(event)
        made.append(event)
    return made

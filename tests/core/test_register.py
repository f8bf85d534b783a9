"""The registers of a row are a function of the set of writes, whatever the way in which these arrive."""

from hypothesis import given
from hypothesis import strategies as st

from sync.core.register import Row
from tests.core.histories import histories, rebuilt, settle

A, B, C = (bytes([n]) * 16 for n in (1, 2, 3))


@given(st.data())
def test_any_order_of_arrival_gives_the_same_state(data):
    """However changesets are shuffled, the bytes of the state are those of a rebuild from the rules' own words."""
    events = data.draw(histories())
    row, applied = Row(), []
    for event in data.draw(st.permutations(events)):
        event.apply(row)
        applied.append(event)
        assert settle(row, applied).encode() == rebuilt(applied).encode()


@given(st.data())
def test_any_partition_into_batches_gives_the_same_state(data):
    """What is already here is forgotten at the end of a batch, wherever batches end."""
    events = data.draw(histories())
    shuffled = data.draw(st.permutations(events))
    ends = data.draw(st.sets(st.integers(0, len(shuffled))))
    row, applied = Row(), []
    for number, event in enumerate(shuffled, 1):
        event.apply(row)
        applied.append(event)
        if number in ends:
            settle(row, applied)
    assert settle(row, applied).encode() == rebuilt(events).encode()


@given(histories())
def test_a_state_survives_being_stored(events):
    """What is decoded is what was encoded, and equal states have equal bytes."""
    row = rebuilt(events)
    assert Row.decode(row.encode()) == row
    assert Row.decode(row.encode()).encode() == row.encode()


def test_concurrent_writes_are_both_heads_and_a_write_that_saw_both_is_the_only_one():
    """Siblings stay until somebody who saw them writes."""
    row = Row()
    row.write("title", A, [])
    row.write("title", B, [])
    assert row.heads["title"] == (A, B)
    assert list(row.siblings()) == ["title"]
    row.write("title", C, [A, B])
    assert row.heads["title"] == (C,)
    assert not list(row.siblings())


def test_an_overwritten_write_that_comes_late_does_not_return():
    """``gone`` remembers what was overwritten before it was here."""
    row = Row()
    row.write("title", B, [A])
    row.write("title", A, [])
    assert row.heads["title"] == (B,)
    assert not row.waiting()


def test_a_deletion_takes_only_what_it_has_seen():
    """An edit that the deletion did not know keeps the row; one that it knew does not."""
    row = Row()
    row.write("title", A, [])
    row.delete(B, [A])
    assert not row.own
    row.write("summary", C, [])
    assert row.own


def test_a_timestamp_keeps_no_row_alive():
    """A field of policy ``latest`` does not raise what was deleted."""
    row = Row()
    row.write("title", A, [])
    row.delete(B, [A])
    row.write("updated", C, [], latest=True)
    assert not row.own

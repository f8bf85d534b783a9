"""The trusted list follows from its writes by rank, not by clock."""

import pytest

from sync.core.clock import Timestamp
from sync.core.policy import Role
from sync.core.trust import Closed, Open, Position, TrustEntry, TrustWrite, evaluate


def opened(role=Role.MASTER, key="k"):
    """Return an entry that trusts."""
    return TrustEntry({}, Open(role, "", "http://x", key))


ROOT = opened()


def write(writer, dot, subject, entry, ms=1, over=(), key="k"):
    """Return a write to the list."""
    return TrustWrite(writer, Position("i", key, dot), Timestamp(ms, 0), subject, entry, frozenset(over))


def below(dot, tips):
    """In these tests dots are ``a1``, ``a2`` … of one chain a letter."""
    return any(tip[0] == dot[0] and tip[1:] >= dot[1:] for tip in tips)


def roles(*writes):
    """Return the open role of each name."""
    entries = evaluate("M1", ROOT, writes, below).entries
    return {name: entry.open.role.value if entry.open else None for name, entry in entries.items()}


def test_whom_the_root_enters_is_trusted_and_enters_others():
    """The root enters a master, which enters an edge."""
    assert roles(write("M1", "a1", "M2", opened()), write("M2", "b1", "E1", opened(Role.EDGE))) == {
        "M1": "master",
        "M2": "master",
        "E1": "edge",
    }


def test_an_edge_enters_nobody():
    """Only what a master wrote counts."""
    assert roles(write("M1", "a1", "E1", opened(Role.EDGE)), write("E1", "e1", "E9", opened())) == {
        "M1": "master",
        "E1": "edge",
    }


def test_a_junior_master_cannot_revoke_a_senior_one():
    """Not the root, nor one that was entered before it; however early its clock says."""
    gone = TrustEntry({}, None)
    found = roles(
        write("M1", "a1", "M2", opened(), ms=5),
        write("M1", "a2", "M3", opened(), ms=6),
        write("M3", "c1", "M2", gone, ms=1),
        write("M3", "c2", "M1", gone, ms=1),
    )
    assert found == {"M1": "master", "M2": "master", "M3": "master"}


def test_what_a_revoked_master_entered_after_its_cut_does_not_count():
    """Before the cut it counts: the list does not fall with its writer."""
    cut = TrustEntry({"i": Closed(Role.MASTER, "", "k", ["b1"])}, None)
    found = roles(
        write("M1", "a1", "M2", opened()),
        write("M2", "b1", "E1", opened(Role.EDGE), ms=2),
        write("M2", "b2", "E2", opened(Role.EDGE), ms=3),
        write("M1", "a2", "M2", cut, ms=9, over=["a1"]),
    )
    assert found == {"M1": "master", "M2": None, "E1": "edge"}


def test_of_two_concurrent_entries_a_revocation_wins():
    """It may be the last that somebody could do."""
    gone = TrustEntry({}, None)
    for first, second in ((1, 2), (2, 1)):
        found = roles(
            write("M1", "a1", "M2", opened()),
            write("M1", "a2", "E1", opened(Role.EDGE), ms=first),
            write("M2", "b1", "E1", gone, ms=second),
        )
        assert found["E1"] is None


def test_an_incarnation_of_a_former_key_that_nobody_closed_does_not_count():
    """Whoever holds the old key opens a new incarnation, which no master had seen when the key was changed."""
    found = roles(
        write("M1", "a1", "M2", opened(key="old")),
        write("M1", "a2", "M2", opened(key="new"), ms=2, over=["a1"]),
        write("M2", "b1", "E1", opened(Role.EDGE), ms=3, key="old"),
        write("M2", "b2", "E2", opened(Role.EDGE), ms=3, key="new"),
    )
    assert found == {"M1": "master", "M2": "master", "E2": "edge"}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_arrival_does_not_matter(reverse):
    """The list is a function of the set of writes."""
    writes = [
        write("M1", "a1", "M2", opened(), ms=1),
        write("M2", "b1", "E1", opened(Role.EDGE), ms=2),
        write("M2", "b2", "E1", opened(Role.NODE), ms=3, over=["b1"]),
    ]
    assert roles(*(reversed(writes) if reverse else writes)) == {"M1": "master", "M2": "master", "E1": "node"}

"""The trusted list follows from its writes by rank, not by clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_later_master_revokes_whoever_is_no_master():
    """Also whom the root had entered before it."""
    found = roles(
        write("M1", "a1", "E1", opened(Role.EDGE), ms=1),
        write("M1", "a2", "M2", opened(), ms=2),
        write("M2", "b1", "E1", TrustEntry({}, None), ms=3, over=["a1"]),
    )
    assert found == {"M1": "master", "M2": "master", "E1": None}


def test_whoever_once_was_a_master_is_out_of_reach_of_juniors():
    """A senior made it an edge; a junior master does not revoke it, nor make it one again."""
    demoted = TrustEntry({"i": Closed(Role.MASTER, "", "k", ["b1"])}, Open(Role.EDGE, "", "http://x", "k"))
    found = roles(
        write("M1", "a1", "M2", opened(), ms=1),
        write("M1", "a2", "M3", opened(), ms=2),
        write("M1", "a3", "M2", demoted, ms=3, over=["a1"]),
        write("M3", "c1", "M2", opened(), ms=9, over=["a3"]),
    )
    assert found == {"M1": "master", "M2": "edge", "M3": "master"}


NAMES = ["M1", "M2", "M3", "M4", "E1", "E2"]
CHAINS = {"M1": "a", "M2": "b", "M3": "c", "M4": "d", "E1": "e", "E2": "f"}


@st.composite
def lists(draw):
    """Writes of anybody about anybody, each chain numbered; what they overwrite is drawn from what was written before."""
    made, numbers = [], dict.fromkeys(NAMES, 0)
    for _ in range(draw(st.integers(1, 12))):
        writer, subject = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
        numbers[writer] += 1
        role = draw(st.sampled_from([Role.MASTER, Role.EDGE, None]))
        cut = {"i": Closed(Role.MASTER, "", "k", [f"{CHAINS[subject]}{draw(st.integers(0, 3))}"])}
        entry = TrustEntry(cut if draw(st.booleans()) else {}, Open(role, "", "http://x", "k") if role else None)
        over = draw(st.lists(st.sampled_from([w.at.dot for w in made if w.subject == subject] or ["z9"]), max_size=2))
        made.append(write(writer, f"{CHAINS[writer]}{numbers[writer]}", subject, entry, ms=draw(st.integers(1, 9)), over=over))
    return made


@given(lists(), st.randoms(use_true_random=False))
def test_the_list_is_a_function_of_the_set_of_writes(writes, random):
    """In whatever order they come."""
    shuffled = list(writes)
    random.shuffle(shuffled)
    found = evaluate("M1", ROOT, writes, below).entries
    assert list(evaluate("M1", ROOT, shuffled, below).entries.items()) == list(found.items())


@given(lists(), st.sampled_from([Role.MASTER, Role.EDGE, None]), st.integers(0, 9), st.data())
def test_nothing_that_a_junior_writes_changes_what_is_said_of_a_senior(writes, role, ms, data):
    """Whatever its clock says, and whatever it overwrites. Of masters the later one is the junior; who is none writes nothing."""
    found = evaluate("M1", ROOT, writes, below).entries
    ranked = [name for name, entry in found.items() if entry.was_master or name == "M1"]
    writer = data.draw(st.sampled_from(NAMES))
    place = ranked.index(writer) if writer in ranked else len(ranked)
    subject = data.draw(st.sampled_from([*ranked[:place], *(NAMES if writer not in ranked else [])] or ["M1"]))
    if writer == subject == "M1":
        return  # the root speaks for itself
    entry = TrustEntry({}, Open(role, "", "http://x", "k") if role else None)
    over = [w.at.dot for w in writes if w.subject == subject]
    more = [*writes, write(writer, f"{CHAINS[writer]}99", subject, entry, ms=ms, over=over)]
    assert evaluate("M1", ROOT, more, below).entries.get(subject) == found.get(subject)

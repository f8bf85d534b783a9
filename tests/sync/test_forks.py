"""Forked chains in the exchange: every branch reaches everybody, without a chain being sent from its beginning each time."""

from itertools import count

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Section
from sync import ancestry, ends, exchange, log, status
from sync.core.changeset import ChainKey, Changeset
from sync.core.clock import Timestamp
from sync.core.policy import Party, Role
from sync.exchange import TipAt
from sync.models import Contact, Entry
from tests.sync.origins import Origin, arrive, backup, forget_everything, take_back, title

pytestmark = pytest.mark.django_db(transaction=True)

EDGE = Origin("EDGE01-LON")
CHAIN = ChainKey(EDGE.name, EDGE.incarnation, "all")
MASTER = Party(Role.MASTER)
NUMBERS = count(100)


def token(number: int) -> str:
    """Return the token of row ``number``."""
    return f"EDGE01-LON-43AX-{number:08d}-221126143015"


def tree(parents: list[int | None]) -> list[Changeset]:
    """Return one chain with as many changesets, each following the one with the index given; None is the first."""
    made: list[Changeset] = []
    paths: list[list[Changeset]] = []
    for number, parent in enumerate(parents):
        before = [] if parent is None else paths[parent]
        twin = Origin(EDGE.name, incarnation=EDGE.incarnation, key=EDGE.key, made=list(before))
        made.append(twin.make(title(token(number), f"Number {number}"), ms=1_700_000_000_000 + number))
        paths.append([*before, made[-1]])
    return made


def branch(length: int, after: list[Changeset] | None = None) -> list[Changeset]:
    """Return ``after`` and a branch of ``length`` more."""
    twin = Origin(EDGE.name, incarnation=EDGE.incarnation, key=EDGE.key, made=list(after or []))
    for _ in range(length):
        twin.make(title(token(next(NUMBERS)), "Hello"), ms=1_700_000_000_000)
    return twin.made


def hold(*made: Changeset) -> None:
    """Let this replica hold ``made`` and nothing else."""
    forget_everything()
    EDGE.trust_here()
    if made:
        assert arrive(*made).refused == {}


def tips() -> list[TipAt]:
    """Return the tips of the edge's chain, as this replica says them."""
    return [tip for tip in exchange.tips_between(MASTER, MASTER) if tip.chain == CHAIN]


def sent(have: list[TipAt], asks_again: bool = False) -> list[bytes]:
    """Return the dots of what this replica sends of that chain."""
    chain = log.chain(CHAIN, EDGE.public).pk
    return [entry.dot for entry in exchange.missing(have, MASTER, MASTER, asks_again) if entry.chain == chain]


def dots(made: list[Changeset]) -> set[bytes]:
    """Return their names."""
    return {changeset.dot for changeset in made}


# --- the law ---------------------------------------------------------------------------------------------------------------------


@st.composite
def forests(draw: st.DrawFn) -> tuple[list[Changeset], list[Changeset], list[Changeset]]:
    """A forked chain, and two parts of it that are whole downwards: what a server and a client hold."""
    count = draw(st.integers(1, 9))
    parents = [
        None if n == 0 or draw(st.integers(0, 9)) == 0 else draw(st.integers(max(0, n - 3), n - 1)) for n in range(count)
    ]
    made = tree(parents)

    def part() -> list[Changeset]:
        chosen = set(draw(st.sets(st.integers(0, count - 1), max_size=4)))
        for number in sorted(chosen, reverse=True):
            at = parents[number]
            while at is not None:
                chosen.add(at)
                at = parents[at]
        return [made[number] for number in sorted(chosen)]

    return made, part(), part()


@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(forests())
def test_whoever_asks_again_gets_every_branch(forest):
    """Whatever two replicas hold of a forked chain: after the question and the second one the client has all that the server had."""
    _, theirs, ours = forest
    hold(*ours)
    mine, marked = tips(), exchange.markers(tips())
    hold(*theirs)
    first, second = sent(mine, asks_again=True), sent([*mine, *marked])
    told = dots(theirs) - dots(ours)
    is_forked = bool(mine) and not {tip.dot for tip in tips()} <= dots(ours) | set(first)
    assert told <= set(first) | (set(second) if is_forked else set())
    positions = [entry.position for entry in sorted(log.known(second).values(), key=lambda entry: second.index(entry.dot))]
    by_dot = {changeset.dot: changeset for changeset in theirs}
    for place, dot in enumerate(second):
        prev = by_dot[dot].head.prev
        assert prev is None or bytes.fromhex(prev) in dots(ours) | set(second[:place]), positions


@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(forests())
def test_below_is_what_the_links_say(forest):
    """``lacking`` and ``last_before`` agree with walking from each to the one before it."""
    made, part, other = forest
    hold(*made)
    by_dot = {changeset.dot: changeset for changeset in made}

    def path(changeset):
        while changeset is not None:
            yield changeset
            changeset = by_dot[bytes.fromhex(changeset.head.prev)] if changeset.head.prev else None

    closed = {end.dot: dots(list(path(end))) for end in made}
    for one in made:
        for end in made:
            bound = Timestamp(*one.head.clock)
            last = next((c.dot for c in path(end) if c.head.stamp <= bound), None)
            assert ancestry.last_before(end.dot, bound) == last
    known = log.known(dots(made))
    found = ancestry.lacking([known[c.dot] for c in part], [known[c.dot] for c in other])
    assert found == set().union(*(closed[c.dot] for c in part)) - set().union(*(closed[c.dot] for c in other))


# --- what is sent ----------------------------------------------------------------------------------------------------------------


def restored() -> tuple[list[Changeset], list[Changeset]]:
    """A chain of 10 at the peers; and what its origin has, restored at 7, after it wrote two more."""
    begun = branch(7)
    return branch(3, begun), branch(2, begun)


def test_a_shorter_branch_reaches_who_holds_a_longer_one():
    """Restored at 7, and two more written, while the peer holds 10: its tip is unknown and lies ahead, and still it gets both."""
    longer, shorter = restored()
    hold(*longer)
    have, marked = tips(), exchange.markers(tips())
    hold(*shorter)
    assert sent(have, asks_again=True) == []
    assert dots(shorter) - dots(longer) <= set(sent([*have, *marked]))


def test_a_branch_is_sent_from_where_it_begins():
    """A fork at the end of a long chain costs a few changesets and not the chain; what both know is not sent again."""
    begun = branch(60)
    mine, theirs = branch(2, begun), branch(3, begun)
    hold(*mine)
    have, marked = tips(), exchange.markers(tips())
    assert len(marked) <= 8
    hold(*theirs)
    assert sent(have, asks_again=True) == []
    assert dots(theirs[60:]) <= set(sent([*have, *marked]))
    assert len(sent([*have, *marked])) <= 4


def test_of_a_forked_chain_only_what_is_new_is_sent():
    """Both hold both branches, and one goes on: one changeset is sent. What only one tip covers is not sent either."""
    longer, shorter = restored()
    hold(*longer, *shorter[7:])
    have = tips()
    assert len(have) == 2
    news = branch(1, longer)[-1]
    arrive(news)
    assert sent(have) == [news.dot]
    assert sent(tips()) == []
    assert set(sent([tip for tip in have if tip.dot == longer[-1].dot])) == dots([news, *shorter[7:]])


def test_after_healing_the_summaries_are_equal():
    """Both branches everywhere: the tips are the same, and nothing more is exchanged."""
    longer, shorter = restored()
    hold(*longer)
    arrive(*shorter)
    one = ends.summary(tips())
    hold(*shorter)
    arrive(*longer)
    assert ends.summary(tips()) == one
    assert Section.objects.count() == len(dots(longer) | dots(shorter))


def test_two_branches_of_one_length_have_two_summaries():
    """Tips are compared by what they are, and not by their numbers: or nobody would ask for the other branch."""
    hold(*branch(3))
    one = ends.summary(tips())
    hold(*branch(3))
    assert ends.summary(tips()) != one


def test_whoever_does_not_ask_again_gets_the_whole_chain():
    """A client of the first protocol, whose tip is unknown here and not ahead, is sent everything: correct, if not cheap."""
    longer, shorter = restored()
    hold(*shorter)
    have = tips()
    hold(*longer)
    assert set(sent(have)) == dots(longer)


def test_a_long_fork_is_walked_in_pages():
    """A branch far down a long chain takes a few statements to find, and not one for each changeset above it."""
    made = branch(300)
    other = branch(3, made[:2])[2:]
    hold(*made, *other)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert len(sent([TipAt(CHAIN, 300, made[-1].dot)])) == 3
    assert len(captured) < 20


# --- the status ------------------------------------------------------------------------------------------------------------------


def counts() -> tuple[int, int, int]:
    """Return behind, ahead and only_here as the status says them."""
    found = status.status()
    [peer] = found["peers"]
    return peer["behind"], peer["ahead"], found["only_here"]


@pytest.mark.parametrize(
    ("here", "there", "wanted"),
    [
        ("longer", "both", (1, 0, 0)),
        ("both", "longer", (0, 2, 2)),
        ("both", "shorter", (0, 3, 3)),
        ("both", "both", (0, 0, 0)),
        ("shorter", "", (0, 9, 9)),
        ("both", "", (0, 12, 12)),
    ],
)
def test_the_status_counts_branches(here, there, wanted):
    """Ahead and only_here count the changesets of branches, not numbers alone; behind says that there is at least one."""
    longer, shorter = restored()
    parts = {"longer": longer, "shorter": shorter, "both": [*longer, *shorter[7:]], "": []}
    hold(*parts[there])
    have = tips()
    hold(*parts[here])
    own = [tip for tip in exchange.tips_between(MASTER, MASTER) if tip.chain != CHAIN]
    Contact.objects.create(name=EDGE.name, tips=exchange.tips_as_json([*have, *own]))
    assert counts() == wanted


def test_two_replicas_that_swap_state_hold_the_same():
    """The tools of these tests: a database that was put back is what it was."""
    longer, _ = restored()
    hold(*longer)
    copy, before = backup(), sorted(Entry.objects.values_list("seq", flat=True))
    forget_everything()
    take_back(copy)
    assert sorted(Entry.objects.values_list("seq", flat=True)) == before

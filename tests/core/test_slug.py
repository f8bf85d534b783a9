"""Claims to slugs: a function of all that were ever made, in which nobody loses what he has."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from sync.core.clock import Timestamp
from sync.core.slug import Claim, allocate, candidates, split

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 5)]


def values() -> list[str]:
    """Slugs of the same words: the common one, another, and those that displaced rows would take."""
    taken = [list(islice(candidates(token, "tide-43ax"), 2))[1] for token in TOKENS[:2]]
    return ["tide-43ax", "tide-12ab", *taken]


claim = st.builds(
    lambda ms, token, value, number: Claim(Timestamp(ms, 0), token, value, number.to_bytes(16, "big")),
    st.integers(1, 6),
    st.sampled_from(TOKENS),
    st.sampled_from(values()),
    st.integers(0, 1 << 40),
)
claims = st.lists(claim, unique_by=lambda each: each.id, max_size=12)


@given(claims)
def test_no_two_rows_have_one_name(made):
    """A name leads to one row, whoever claimed what."""
    owners = {}
    for each, name in allocate(made).items():
        assert owners.setdefault(name, each.token) == each.token


@given(claims)
def test_every_value_ever_written_is_the_name_of_a_row(made):
    """What was given out as a link leads somewhere for ever."""
    names = set(allocate(made).values())
    assert {each.value for each in made} <= names


@given(claims, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_arrival(made, random):
    """Whichever claim a replica hears of first, it gives out the same names."""
    shuffled = list(made)
    random.shuffle(shuffled)
    assert allocate(shuffled) == allocate(made)


@given(claims, claim)
def test_a_later_claim_moves_nobody(made, late):
    """Whoever has a name keeps it, whatever is claimed after."""
    late = late._replace(stamp=Timestamp(7, 0), id=b"\xff" * 16)
    before = allocate(made)
    after = allocate([*made, late])
    assert {each: after[each] for each in before} == before


@given(st.sampled_from(TOKENS), st.sampled_from([*values(), "tide", "43ax", ""]))
def test_all_candidates_share_their_words(token, value):
    """So that the claims that can meet are found by their words; and they are many, and differ."""
    found = list(islice(candidates(token, value), 200))
    assert {split(name)[0] for name in found} == {split(value)[0]}
    assert len(set(found)) > 190

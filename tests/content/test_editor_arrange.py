"""Orders of blocks become keys, with as few changes as possible."""

from hypothesis import given
from hypothesis import strategies as st

from content.editor.arrange import arrange, longest_rise
from content.ordering import spread

tokens = st.integers(0, 99).map(lambda number: f"T{number:02}")


@given(st.permutations(list(range(9))))
def test_any_order_is_reached_and_only_what_moved_is_rekeyed(order):
    """The keys ascend in the wanted order, and those of a longest rise stay."""
    keys = spread(9)
    wanted = [(keys[number], f"T{number}") for number in order]
    result = arrange(wanted)
    assert result == sorted(result) and len(set(result)) == 9
    kept = sum(old == new for (old, _), new in zip(wanted, result, strict=True))
    assert kept >= len(longest_rise(wanted))


@given(st.lists(st.tuples(st.sampled_from(["", "V", "a", "k", "V0", "?", *spread(5)]), tokens), unique_by=lambda pair: pair[1]))
def test_equal_foreign_and_missing_keys_still_give_the_wanted_order(wanted):
    """Whatever other replicas gave out, sorting by key and token afterwards gives the order asked for."""
    result = arrange(wanted)
    pairs = [(key, token) for key, (_, token) in zip(result, wanted, strict=True)]
    assert pairs == sorted(pairs)


def test_an_order_that_stands_changes_nothing():
    """Blocks that follow each other already keep their keys, equal ones included."""
    wanted = [("V", "A"), ("V", "B"), ("k", "A")]
    assert arrange(wanted) == ["V", "V", "k"]

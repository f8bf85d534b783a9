"""Trees that are rearranged in two places at once."""

from hypothesis import given
from hypothesis import strategies as st

from sync.core.tree import cycles

trees = st.dictionaries(st.integers(0, 8), st.none() | st.integers(0, 10), max_size=9)


def tops(parents, ignored):
    """Where each node ends when its links are followed; None where they never end."""
    found = {}
    for start in parents:
        node, steps = start, 0
        while node in parents and node not in ignored and parents[node] is not None and steps <= len(parents):
            node, steps = parents[node], steps + 1
        found[start] = node if steps <= len(parents) else None
    return found


@given(trees)
def test_without_one_link_of_each_circle_every_node_is_reached(parents):
    """Whichever link of a circle is ignored, following the others ends at a top, or at a parent that is not here."""
    assert None not in tops(parents, {max(cycle) for cycle in cycles(parents)}).values()


@given(trees)
def test_a_tree_without_circles_has_none(parents):
    """Nothing is ignored that need not be: each node named does come back to itself."""
    for cycle in cycles(parents):
        for number, node in enumerate(cycle):
            assert parents[node] == cycle[(number + 1) % len(cycle)]

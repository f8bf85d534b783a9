"""What the authors of several writes had all seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.ancestry import TangledError, common_ancestors


def dot(number):
    """Return the dot of a write; a greater number is a later clock."""
    return number.to_bytes(16, "big")


@st.composite
def graphs(draw):
    """Writes by number, each over some earlier ones."""
    return [
        draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set() for number in range(draw(st.integers(1, 12)))
    ]


def ancestors(graph, number):
    """Return all that ``number`` descends from, itself included."""
    return {number}.union(*(ancestors(graph, parent) for parent in graph[number]))


def parents_in(graph):
    """Return the parents of a dot as a function."""
    return lambda of: [dot(parent) for parent in graph[int.from_bytes(of, "big")]]


@given(st.data())
def test_they_are_common_and_none_descends_from_another(data):
    """From the definition: the maximal ones of what all descend from."""
    graph = data.draw(graphs())
    chosen = data.draw(st.lists(st.integers(0, len(graph) - 1), min_size=1, max_size=3, unique=True))
    common = set.intersection(*(ancestors(graph, number) for number in chosen))
    maximal = {number for number in common if not any(number in ancestors(graph, other) - {other} for other in common)}
    found = common_ancestors([dot(number) for number in chosen], parents_in(graph), lambda of: of)
    assert found == sorted(map(dot, maximal))


def test_a_long_history_below_the_common_ancestor_is_not_read():
    """Two edits of what was written a thousand times before cost two looks."""
    graph = [set() if not number else {number - 1} for number in range(1000)]
    graph += [{999}, {999}]
    looked = []
    parents = parents_in(graph)
    found = common_ancestors([dot(1000), dot(1001)], lambda of: looked.append(of) or parents(of), lambda of: of)
    assert found == [dot(999)]
    assert len(looked) == 2


@pytest.mark.parametrize("graph", [[set(), *({number} for number in range(400)), set()], [{1}, {2}, set()]])
def test_too_long_a_way_and_a_write_over_a_later_one_are_told(graph):
    """Nothing is merged then, on any replica."""
    with pytest.raises(TangledError):
        common_ancestors(
            [dot(len(graph) - 2), dot(len(graph) - 1)] if len(graph) > 3 else [dot(0), dot(1)], parents_in(graph), lambda of: of
        )

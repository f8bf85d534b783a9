"""The one table of who may push and pull, cell by cell."""

import pytest

from sync.core.policy import ALL, TRUST, Party, Role, Verb, is_entitled, may, may_write

MASTER, NODE = Party(Role.MASTER), Party(Role.NODE, "thames")
THAMES, SEINE, NOWHERE = Party(Role.EDGE, "thames"), Party(Role.EDGE, "seine"), Party(Role.EDGE)
PUSH, PULL = Verb.PUSH, Verb.PULL

CELLS = [
    (MASTER, MASTER, {PUSH, PULL}),
    (MASTER, NODE, {PUSH, PULL}),
    (MASTER, THAMES, {PUSH, PULL}),
    (MASTER, SEINE, {PUSH, PULL}),
    (NODE, MASTER, {PUSH, PULL}),
    (NODE, NODE, {PUSH, PULL}),
    (NODE, THAMES, {PUSH, PULL}),
    (NODE, SEINE, set()),
    (THAMES, MASTER, {PULL}),
    (THAMES, NODE, {PULL}),
    (THAMES, THAMES, {PUSH, PULL}),
    (THAMES, SEINE, set()),
    (NOWHERE, NOWHERE, set()),
    (Party(Role.NODE), NOWHERE, set()),
]


@pytest.mark.parametrize(("actor", "target", "allowed"), CELLS)
def test_each_cell_of_the_table(actor, target, allowed):
    """Masters both; nodes both, with edges of the farm that they host; edges pull, and push to edges of their own farm."""
    assert {verb for verb in Verb if may(actor, verb, target)} == allowed


def test_submissions_of_a_farm_are_held_by_it_and_above():
    """Masters and nodes hold what belongs to a farm; another farm's edges do not."""
    assert all(is_entitled(party, "farm:thames") for party in (MASTER, NODE, THAMES))
    assert not is_entitled(SEINE, "farm:thames")
    assert not is_entitled(NOWHERE, "farm:")
    assert not is_entitled(MASTER, "another")


def test_only_masters_write_the_trusted_list():
    """Everybody holds it, and everybody may write content."""
    assert [may_write(party, TRUST) for party in (MASTER, NODE, THAMES)] == [True, False, False]
    assert all(may_write(party, ALL) and is_entitled(party, TRUST) for party in (MASTER, NODE, THAMES))
    assert not may_write(SEINE, "farm:thames")

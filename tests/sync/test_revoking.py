"""Revoking more than once: the cut moves either way, by what a master says last, and lets nothing in that had been outside."""

import pytest
from django.db import transaction

from sync import local, status, trust_admin, trusting
from sync.core.changeset import Op, Write
from sync.core.errors import NeedsOperatorError
from sync.core.policy import Role
from sync.core.trust import Closed, TrustEntry
from sync.models import Entry
from sync.receive import Receipt, receive
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, framed, title
from tests.sync.test_receive import TOKENS, shown

pytestmark = pytest.mark.django_db(transaction=True)

NUMBERS = range(1, 6)


@pytest.fixture
def edge():
    """An edge that has written one title five times, each over the one before."""
    origin = Origin("EDGE09-LON").trust_here()
    for number in NUMBERS:
        refs = [origin.made[-1].dot] if origin.made else []
        origin.make(title(TOKENS[0], str(number), over=(0,) if refs else ()), refs=refs, ms=1000 * number)
    arrive(*origin.made)
    return origin


@pytest.mark.parametrize(
    ("first", "second", "last"),
    [(None, 2, "1"), (3, 2, "1"), (3, 4, "3"), (1, 3, "2"), (2, 99, "5"), (3, 1, None), (3, None, "2")],
)
def test_a_second_revocation_moves_the_cut(edge, first, second, last):
    """To an earlier number and to a later one; without a number the cut stays."""
    trust_admin.revoke(edge.name, first)
    counted = trust_admin.revoke(edge.name, second)["quarantined"]
    assert shown() == last
    assert counted == len(NUMBERS) - int(last or 0)
    assert_rows_follow_from_log()


@pytest.mark.parametrize("is_same_key", [True, False])
def test_a_name_that_was_trusted_again_is_cut_in_what_it_made_since(edge, is_same_key):
    """What was taken back before stays so, whatever number is said later: that is of another incarnation."""
    trust_admin.revoke(edge.name, 3)
    again = Origin(edge.name, incarnation="00000000000000bb", **({"key": edge.key} if is_same_key else {})).trust_here()
    arrive(again.make(title(TOKENS[3], "New"), ms=8000))
    trust_admin.revoke(edge.name, 50)
    assert (shown(), shown(TOKENS[3])) == ("2", "New")
    trust_admin.revoke(edge.name, 1)
    assert (shown(), shown(TOKENS[3])) == ("2", None)
    assert_rows_follow_from_log()


def test_the_cut_of_a_chain_that_somebody_forked_moves_back_only(edge):
    """Whoever has the key forks below the cut, with a late clock: no numbers, one after the other, let that in."""
    trust_admin.revoke(edge.name)
    thief = Origin(edge.name, key=edge.key, made=edge.made[:1])
    forged = [thief.make(title(TOKENS[1], "Forged"), ms=9000), thief.make(title(TOKENS[1], "Again"), ms=9001)]
    assert arrive(*forged).quarantined == 2
    for start, last in ((4, "3"), (2, "1"), (2, "1"), (1, None)):
        trust_admin.revoke(edge.name, start)
        assert (shown(), shown(TOKENS[1])) == (last, None)
        with pytest.raises(NeedsOperatorError, match="is forked"):
            trust_admin.revoke(edge.name, 6)
        assert (shown(), shown(TOKENS[1])) == (last, None)
    assert_rows_follow_from_log()


def test_a_fork_that_was_made_at_the_cut_stays_outside(edge):
    """After a revocation that came too early nobody can tell the branches apart any more."""
    trust_admin.revoke(edge.name, 3)
    thief = Origin(edge.name, key=edge.key, made=edge.made[:2])
    assert arrive(thief.make(title(TOKENS[1], "Forged"), ms=9000)).quarantined == 1
    with pytest.raises(NeedsOperatorError, match="is forked"):
        trust_admin.revoke(edge.name, 5)
    assert (shown(), shown(TOKENS[1])) == ("2", None)


def test_a_revocation_closes_what_was_left_open_and_has_not_come_here(edge):
    """A change of role elsewhere left an incarnation open of which nothing is here yet: whatever comes of it later does not count."""
    unseen = Origin(edge.name, incarnation="00000000000000cc", key=edge.key)
    entry = trusting.current().entries[edge.name]
    left = {unseen.incarnation: Closed(entry.open.role, entry.open.farm, edge.public, None)}
    with transaction.atomic():
        local.take_turn()
        trusting.enter(edge.name, TrustEntry(left, entry.open))
        trusting.refresh()
    trust_admin.revoke(edge.name)
    assert arrive(unseen.make(title(TOKENS[2], "Thief"), ms=9000)).quarantined == 1
    assert shown(TOKENS[2]) is None


def test_a_fork_with_a_late_clock_does_not_put_off_the_cut(edge):
    """The chain of content is cut by its numbers: a branch that is known before, and dated late, raises nothing."""
    thief = Origin(edge.name, key=edge.key, made=edge.made[:1])
    arrive(thief.make(title(TOKENS[1], "Forged"), ms=9000))
    trust_admin.revoke(edge.name, 3)
    assert shown() == "2"


def test_what_a_change_of_key_has_closed_is_not_moved_by_a_revocation(edge):
    """Its numbers are those of another incarnation; what came to light after it never counts."""
    arrive(edge.make(title(TOKENS[1], "Old"), ms=6000))
    renewed = Origin(edge.name, incarnation="00000000000000bb").trust_here()
    late = edge.make(title(TOKENS[2], "Late"), ms=7000)
    assert arrive(late).quarantined == 1
    arrive(renewed.make(title(TOKENS[3], "New"), ms=8000))
    for start in (1, 99):
        trust_admin.revoke(edge.name, start)
        assert [shown(token) for token in TOKENS] == ["5", "Old", None, "New" if start > 1 else None]


def test_a_revocation_closes_what_a_change_of_role_left_open(edge):
    """What counted as far as it was still to come is cut like all else, and what its key signs later does not count."""
    Origin(edge.name, Role.NODE, key=edge.key).trust_here()
    assert arrive(edge.make(title(TOKENS[1], "Seen late"), ms=6000)).applied == 1
    trust_admin.revoke(edge.name)
    assert arrive(edge.make(title(TOKENS[2], "Thief"), ms=7000)).quarantined == 1
    assert [shown(token) for token in TOKENS[:3]] == ["5", "Seen late", None]
    trust_admin.revoke(edge.name, 3)
    assert [shown(token) for token in TOKENS[:3]] == ["2", None, None]


def test_a_cut_that_cannot_be_moved_from_here_is_refused(edge):
    """The list closes it at a changeset that has not come, or knew none when it was revoked: the text says what to do."""
    unseen = edge.make(title(TOKENS[1], "Elsewhere"), ms=6000)
    closed = {edge.incarnation: {"role": "edge", "farm": "thames", "key": edge.public, "tips": [unseen.dot.hex()]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trust_admin.closing, "closed_at", lambda *_: trusting.parse_entry({"closed": closed, "open": None}).closed
        )
        trust_admin.revoke(edge.name)
    before = Entry.objects.count()
    with pytest.raises(NeedsOperatorError, match="run sync_pull"):
        trust_admin.revoke(edge.name, 3)
    edge.trust_here()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trust_admin.closing, "closed_at", lambda *_: {})
        trust_admin.revoke(edge.name)
    with pytest.raises(NeedsOperatorError, match="sync_trust"):
        trust_admin.revoke(edge.name, 3)
    assert Entry.objects.count() == before + 2
    assert status.status()["quarantined"] == 5


# --- what a pull says of it ------------------------------------------------------------------------------------------------------


def listed(origin, tips=None):
    """Return what the list says of an origin; closed at the dots ``tips`` where they are given."""
    said = {"role": origin.role.value, "farm": origin.farm, "key": origin.public}
    if tips is None:
        return {"closed": {}, "open": {**said, "url": ""}}
    return {"closed": {origin.incarnation: {**said, "tips": [tip.hex() for tip in tips]}}, "open": None}


def say(writer, subject, entry, over=()):
    """Return the changeset by which ``writer`` says ``entry`` of ``subject``."""
    write = Write("entry", None, entry, list(range(len(over))))
    return writer.make(Op("sync.trust", subject.name, [write]), refs=[c.dot for c in over], scope="trust")


@pytest.fixture
def root(settings):
    """The root of the site that this replica, now an edge, has just joined."""
    settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "thames"}
    found = Origin("MASTER09-PAR", Role.MASTER, "")
    trust_admin.pin(found.name, "http://m", found.public)
    return found


def pulled(frames):
    """Receive a stream; return how many changesets it says to have applied, and how many count."""
    receipt = Receipt()
    for frame in frames:
        receive([frame], receipt)
    return receipt.applied, Entry.objects.filter(state=Entry.State.APPLIED).count()


@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_newcomer_is_told_of_all_that_counts_of_a_revoked_replica(root, size):
    """What comes before the closing tip counts when that comes: it is counted then, in whatever pieces it travels."""
    edge = Origin("EDGE09-LON")
    made = [edge.make(title(TOKENS[0], str(number)), ms=1000 * number) for number in NUMBERS]
    entered = say(root, edge, listed(edge))
    stream = [entered, say(root, edge, listed(edge, [made[3].dot]), [entered]), *made]
    assert pulled(framed(*stream[start : start + size]) for start in range(0, len(stream), size)) == (2 + 4, 2 + 4)


@pytest.mark.parametrize("size", [1, 9])
def test_the_entries_of_a_revoked_master_below_its_cut_count_for_a_newcomer(root, size):
    """Like its content: they are no less part of what the list follows from."""
    junior, edge = Origin("MASTER10-PAR", Role.MASTER, ""), Origin("EDGE09-LON")
    entered = say(root, junior, listed(junior))
    said = [say(junior, edge, listed(edge))]
    said.append(say(junior, edge, listed(edge), said))
    stream = [entered, say(root, junior, listed(junior, [said[1].dot]), [entered]), *said, edge.make(title(TOKENS[0], "1"))]
    assert pulled(framed(*stream[start : start + size]) for start in range(0, len(stream), size)) == (5, 5)
    assert shown() == "1"


def test_what_was_held_and_is_released_in_the_same_pull_is_counted():
    """A write whose clock ran ahead counts as soon as one comes that names it; that is said by the number."""
    one, two = Origin("EDGE01-LON").trust_here(), Origin("EDGE02-LON").trust_here()
    before = Entry.objects.count()
    ahead = one.make(title(TOKENS[0], "Ahead"), ms=local.wall_ms() + 10_000_000)
    over = two.make(title(TOKENS[0], "Right", over=(0,)), refs=[ahead.dot])
    assert pulled([framed(ahead), framed(over)]) == (2, before + 2)

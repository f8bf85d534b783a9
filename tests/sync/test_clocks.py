"""Wall clocks that are wrong: slow, set back while running, at 2099 and mended. What was seen is won over, what was applied stays."""

import itertools

import pytest
from django.db import transaction

from content.models import Block, Page, Section
from sync import admission, clocks, conf, keys, local, log, rebuild, registers, sweep, trust_admin, trusting
from sync.core.changeset import Changeset, Op, Write
from sync.core.policy import TRUST, Party, Role
from sync.core.register import Row
from sync.core.signing import key_text
from sync.models import Entry, Local, Register
from sync.registers import RowKey
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, backup, forget_everything, rows, take_back, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "EDGE01-LON-43AX-7K2M9QX1-221126143015"
MINUTE, HOUR = 60_000, 3_600_000
YEARS = 73 * 365 * 24 * HOUR
DRIFT = 300_000
EDGE, MASTER = Party(Role.EDGE, "thames"), Party(Role.MASTER)


class Wall:
    """The clock on the wall; ``ms`` may be set."""

    def __init__(self) -> None:
        self.ms = local.wall_ms()


@pytest.fixture
def wall(monkeypatch):
    """A wall clock that the test sets; the machine runs on as it does."""
    clock = Wall()
    monkeypatch.setattr(local, "wall_ms", lambda: clock.ms)
    return clock


def last() -> Changeset:
    """Return what this replica wrote last."""
    return [c for _, c in log.scan(state=None) if c.head.name == conf.name()][-1]


def origin() -> str:
    """Return the incarnation under which this replica writes now."""
    return local.state().incarnation


# --- slow, and set back while running --------------------------------------------------------------------------------------------


def test_an_edit_under_a_slow_clock_wins_over_what_it_has_seen(wall):
    """20 minutes slow: what is saved is shown at once, bears a later clock than what it replaces, and is held by nobody."""
    edge = Origin("EDGE01-LON").trust_here()
    seen = edge.make(title(TOKEN, "Seen"), ms=wall.ms)
    arrive(seen)
    wall.ms -= 20 * MINUTE
    section = Section.objects.get(pk=TOKEN)
    section.title = "Edited"
    section.save()
    assert Section.objects.get(pk=TOKEN).title == "Edited"
    assert last().head.stamp > seen.head.stamp
    assert not last().head.stamp.is_ahead(wall.ms + 20 * MINUTE, 0)


def test_a_clock_that_is_set_back_while_running_takes_nothing_back(wall):
    """What was applied stays applied, own writes go on growing, and what others write then waits for the clock."""
    edge = Origin("EDGE01-LON").trust_here()
    arrive(edge.make(title(TOKEN, "Before"), ms=wall.ms))
    section = Section.objects.create(title="One")
    first = last()
    wall.ms -= HOUR
    section.title = "Two"
    section.save()
    assert last().head.stamp > first.head.stamp
    assert last().head.chain == first.head.chain
    assert arrive(edge.make(title(TOKEN, "After", (0,)), refs=[edge.made[0].dot], ms=wall.ms + HOUR)).held == 1
    assert Section.objects.get(pk=TOKEN).title == "Before"
    sweep.sweep()
    assert Entry.objects.filter(state=Entry.State.APPLIED, dot=edge.made[0].dot).exists()
    wall.ms += HOUR
    sweep.sweep()
    assert Section.objects.get(pk=TOKEN).title == "After"


def test_the_clock_is_merged_when_something_held_is_released(wall):
    """What is written over it then is later than it, here and everywhere."""
    edge = Origin("EDGE01-LON").trust_here()
    ahead = edge.make(title(TOKEN, "Ahead"), ms=wall.ms + HOUR)
    assert arrive(ahead).held == 1
    wall.ms += HOUR - DRIFT  # just enough to release it, and still before it
    sweep.sweep()
    section = Section.objects.get(pk=TOKEN)
    section.title = "Over it"
    section.save()
    assert last().head.stamp > ahead.head.stamp
    assert Section.objects.get(pk=TOKEN).title == "Over it"


# --- whose time is believed ------------------------------------------------------------------------------------------------------


def test_a_masters_time_is_taken_where_ours_stands_behind(wall):
    """A machine that started with its clock a day behind counts from the time that a master has signed, and holds nobody up."""
    Section.objects.create(title="Yesterday")
    right = wall.ms
    wall.ms -= 24 * HOUR
    assert clocks.heard(MASTER, EDGE, right)
    assert abs(local.now_ms(local.state()) - right) < 10_000
    edge = Origin("EDGE01-LON").trust_here()
    assert arrive(edge.make(title(TOKEN, "Now"), ms=right)).applied == 1
    Section.objects.create(title="Mine")
    assert abs(last().head.clock[0] - right) < 10_000


def test_it_is_forgotten_when_the_wall_clock_is_right_again(wall):
    """At the next contact; and never used after a restart of the machine."""
    Section.objects.create(title="Yesterday")
    right = wall.ms
    wall.ms -= 24 * HOUR
    clocks.heard(MASTER, EDGE, right)
    Local.objects.update(boot="another start")
    assert local.now_ms(local.state()) == wall.ms
    clocks.heard(MASTER, EDGE, right)
    wall.ms = right + HOUR
    clocks.heard(MASTER, EDGE, right + HOUR)
    assert (local.state().boot, local.now_ms(local.state())) == ("", wall.ms)


@pytest.mark.parametrize(("peer", "shift"), [(EDGE, -24 * HOUR), (MASTER, 0)])
def test_no_other_time_is_taken(wall, peer, shift):
    """Not an edge's; and nobody's where our clock does not stand behind what we have written and seen."""
    Section.objects.create(title="Something")
    right = wall.ms
    wall.ms += shift
    clocks.heard(peer, EDGE, right + HOUR)
    assert local.now_ms(local.state()) == wall.ms


def test_only_a_signed_time_is_heard():
    """By the peer that was asked, in answer to this question, and as it was signed."""
    question = clocks.challenge()
    signature = clocks.sign(question, 1000)
    name, key = conf.name(), keys.public_text()
    assert clocks.is_signed(name, key, question, 1000, signature)
    other = key_text(Origin("EDGE09-LON").key.public_key())
    wrong = [
        (name, key, question, 1001, signature),
        (name, key, clocks.challenge(), 1000, signature),
        ("EDGE09-LON", key, question, 1000, signature),
        (name, other, question, 1000, signature),
        (name, key, question, 1000, "rubbish"),
        (name, key, question, 1000, None),
        (name, key, question, "1000", signature),
    ]
    assert [clocks.is_signed(*case) for case in wrong] == [False] * len(wrong)


# --- at 2099, and mended ---------------------------------------------------------------------------------------------------------


def write_in_the_future(wall) -> None:
    """Write something, go to 2099, write more: edits, a set, a map, a new row, deletions, one that is taken back."""
    kept, gone, back, only = (Section.objects.create(title=name) for name in ("Kept", "Gone", "Back", "Only deleted"))
    with transaction.atomic():
        token = back.pk
        page = Page.objects.create(title="Page", section=kept, tags=["old", "both"])
        block = Block.objects.create(parent=page, type="richtext", data={"html": "<p>old</p>", "note": "x"}, ordering="V")
    wall.ms += YEARS
    for name in ("In 2099", "Later in 2099"):
        kept.title = name
        kept.save()
    page.tags = ["both", "new"]
    page.save()
    block.data = {"html": "<p>new</p>"}
    block.save()
    gone.title = "Gone in 2099"
    gone.save()
    gone.delete()
    back.delete()
    Section.objects.create(token=token, title="Back again")
    Section.objects.create(title="Made in 2099")
    only.delete()
    wall.ms -= YEARS


def mend() -> None:
    """A peer says what time it is."""
    assert clocks.heard(EDGE, MASTER, local.wall_ms())


def test_it_goes_on_under_a_new_incarnation_with_the_right_time(wall, caplog):
    """Its rows are as they were, what it writes then is of today, and that it happened is in the log."""
    write_in_the_future(wall)
    before, shown = origin(), rows()
    assert last().head.stamp.is_ahead(wall.ms, DRIFT)
    mend()
    assert differing(rows(), shown) == []
    assert_rows_follow_from_log()
    assert origin() != before
    Section.objects.create(title="Today")
    assert not last().head.stamp.is_ahead(wall.ms, DRIFT)
    assert "clock" in caplog.text
    again = origin()
    mend_again = clocks.heard(EDGE, MASTER, wall.ms)
    assert (mend_again, origin()) == (False, again)


def test_it_repeats_what_was_ahead_and_nothing_else(wall):
    """The values, apart from them those that a deletion had seen, then the deletions, which have seen these; by nobody's hand."""
    write_in_the_future(wall)
    before = Entry.objects.count()
    mend()
    repeated = [c for _, c in log.scan()][before:]
    said = [{w.value for op in c.head.ops for w in op.writes if w.field == "title"} for c in repeated]
    assert said == [{"Later in 2099", "Back again", "Made in 2099"}, {"Gone in 2099"}, set()]
    assert [len(op.seen or ()) > 0 for op in repeated[2].head.ops] == [True, True]
    assert {c.head.author for c in repeated} == {"clock"}


@pytest.mark.parametrize("order", ["as it was made", "the repetition first", "one by one", "backwards by chain"])
def test_everybody_gets_what_was_written_and_nobody_holds_anything(wall, settings, tmp_path, order):
    """In whatever order it comes: rows and digest are the author's, nothing is held, and no clock is taken to 2099."""
    write_in_the_future(wall)
    mend()
    Section.objects.create(title="Today")
    made = [c for _, c in log.scan(state=None) if c.head.scope != TRUST]
    wanted, key, name = (registers.digest(), rows()), keys.public_text(), conf.name()
    become_an_edge(settings, tmp_path, name, key)
    chains = [list(group) for _, group in itertools.groupby(made, key=lambda c: c.head.chain)]
    assert len(chains) == 2
    if order == "as it was made":
        arrive(*made)
    elif order == "one by one":
        assert sum(arrive(changeset).held for changeset in made) > 0
    else:
        for chain in reversed(chains):
            for part in [chain] if order == "the repetition first" else [chain[: len(chain) // 2], chain[len(chain) // 2 :]]:
                arrive(*part)
    assert differing(rows(), wanted[1]) == []
    assert registers.digest() == wanted[0]
    assert_rows_follow_from_log()
    assert not Entry.objects.exclude(state=Entry.State.APPLIED).exists()
    assert local.state().clock_ms <= wall.ms + DRIFT


def differing(one, other) -> list[tuple[object, ...]]:
    """Return the rows that are not in both."""
    return [row for table in one for row in sorted({*one[table]} ^ {*other[table]}, key=str)]


def become_an_edge(settings, folder, root: str, key: str) -> None:
    """Let this database be that of an edge that has pinned ``root``, and holds nothing yet."""
    forget_everything()
    settings.SYNC = {**settings.SYNC, "NODE": "EDGE01", "ROLE": "edge", "FARM": "thames", "DATA": folder}
    trust_admin.pin(root, "http://root", key)
    assert trusting.me().role is Role.EDGE


def test_until_a_peer_says_what_time_it_is_nothing_happens(wall):
    """A machine that starts at 1970 sees the same: so it goes on, each write later than the one before."""
    Section.objects.create(title="Now")
    before = last()
    wall.ms -= YEARS
    sweep.sweep()
    section = Section.objects.get()
    section.title = "Under a clock of long ago"
    section.save()
    assert last().head.chain == before.head.chain
    assert last().head.stamp > before.head.stamp
    assert clocks.heard(EDGE, MASTER, before.head.clock[0])  # the peer is right, and the wall is not: no reason to begin anew
    assert origin() == before.head.incarnation


def test_a_clock_within_the_drift_is_left_as_it_is(wall):
    """Two minutes ahead is nothing that others would hold."""
    wall.ms += 2 * MINUTE
    Section.objects.create(title="A little ahead")
    before = origin()
    wall.ms -= 2 * MINUTE
    assert clocks.heard(EDGE, MASTER, wall.ms)
    assert origin() == before


def test_a_repeated_deletion_has_seen_what_it_had_seen_and_no_more(wall):
    """A row that another edit keeps: what was written to it in 2099 after the deletion, unseen by it, stays unseen."""
    page = Page.objects.create(title="Kept by another", section=Section.objects.create(title="News"))
    edge, token = Origin("EDGE01-LON").trust_here(), page.pk
    wall.ms += YEARS
    page.title = "In 2099"
    page.save()
    page.delete()
    arrive(edge.make(Op("content.page", token, [Write("summary", None, "Unseen", [])]), ms=wall.ms - YEARS))
    assert Page.objects.filter(pk=token).update(seo_title="Written after it was deleted") == 1
    wall.ms -= YEARS
    mend()
    row = Row.decode(bytes(Register.objects.get(token=token, model="content.page").state))
    seen = set().union(*row.deletes.values())
    assert set(row.heads["title"]) <= seen
    assert not seen.intersection(row.heads["seo_title"])


@pytest.mark.parametrize("over", [True, False])
def test_only_what_can_win_nothing_more_is_let_count(wall, over):
    """Of what is held, all that it wrote must have been overwritten: with one value left it would win every tie for 73 years."""
    edge = Origin("EDGE01-LON").trust_here()
    ahead = edge.make(title(TOKEN, "Ahead"), *([] if over else [title(TOKEN[:-1] + "6", "Left")]), ms=wall.ms + YEARS)
    assert arrive(ahead).held == 1
    renewed = Origin("EDGE01-LON", incarnation="00000000000000ab", key=edge.key)
    arrive(renewed.make(title(TOKEN, "Again", (0,)), refs=[ahead.dot], ms=wall.ms))
    assert Section.objects.get(pk=TOKEN).title == "Again"
    assert Entry.objects.filter(state=Entry.State.HELD).exists() is not over
    assert local.state().clock_ms <= wall.ms + DRIFT
    assert_rows_follow_from_log()


def deletion(seen: tuple[int, ...]) -> Op:
    """A deletion of the one section, of which these references were seen."""
    return Op("content.section", TOKEN, [], list(seen))


def test_a_deletion_from_the_future_is_held_until_it_is_repeated(wall):
    """The row stays, and nobody's clock is moved; its repetition names it, and then it is held by nobody."""
    edge = Origin("EDGE01-LON").trust_here()
    made = edge.make(title(TOKEN, "There"), ms=wall.ms)
    gone = edge.make(deletion((0,)), refs=[made.dot], ms=wall.ms + YEARS)
    assert arrive(made, gone).held == 1
    assert Section.objects.filter(pk=TOKEN).exists()
    renewed = Origin("EDGE01-LON", incarnation="00000000000000ab", key=edge.key)
    arrive(renewed.make(deletion((0, 1)), refs=[made.dot, gone.dot], ms=wall.ms))
    assert not Section.objects.filter(pk=TOKEN).exists()
    assert not Entry.objects.filter(state=Entry.State.HELD).exists()
    assert local.state().clock_ms <= wall.ms + DRIFT
    assert_rows_follow_from_log()


@pytest.mark.parametrize("named", [True, False])
def test_a_deletion_that_somebody_else_made_too_is_held_all_the_same(wall, named):
    """A write that answers it lets it count; another deletion of the row says nothing of it."""
    edge, other = Origin("EDGE01-LON").trust_here(), Origin("EDGE02-LON").trust_here()
    made = edge.make(title(TOKEN, "There"), ms=wall.ms)
    arrive(made, edge.make(deletion((0,)), refs=[made.dot], ms=wall.ms + YEARS))
    if named:
        arrive(other.make(title(TOKEN, "Kept", (0, 1)), refs=[made.dot, edge.made[1].dot], ms=wall.ms))
        assert Section.objects.get(pk=TOKEN).title == "Kept"
    else:
        arrive(other.make(deletion((0,)), refs=[made.dot], ms=wall.ms))
    assert Entry.objects.filter(state=Entry.State.HELD).exists() is not named
    assert_rows_follow_from_log()


def test_several_deletions_of_one_row_are_repeated_as_one(wall):
    """Which has seen what any of them had seen, and names them all; or some would be held for 73 years."""
    page = Page.objects.create(title="Page", section=Section.objects.create(title="News"))
    edge, token = Origin("EDGE01-LON").trust_here(), page.pk
    wall.ms += YEARS
    page.delete()
    arrive(edge.make(Op("content.page", token, [Write("summary", None, "Unseen", [])]), ms=wall.ms - YEARS))
    Page.objects.get(pk=token).delete()
    wall.ms -= YEARS
    mend()
    row = Row.decode(bytes(Register.objects.get(token=token, model="content.page").state))
    ahead = {bytes(dot) for dot in Entry.objects.filter(ms__gt=wall.ms + DRIFT).values_list("dot", flat=True)}
    again = [seen for dot, seen in row.deletes.items() if dot not in ahead]
    assert len(again) == 1 and len(ahead) == 2 and ahead <= again[0]
    assert not row.own


def test_what_follows_one_that_is_held_is_held(wall):
    """Though all of it was overwritten: it counts when the one before it in its chain does."""
    edge = Origin("EDGE01-LON").trust_here()
    first = edge.make(title(TOKEN, "First"), ms=wall.ms + YEARS)
    second = edge.make(Op("content.section", TOKEN, [Write("description", None, "Second", [])]), ms=wall.ms + YEARS)
    arrive(first, second)
    renewed = Origin("EDGE01-LON", incarnation="00000000000000ab", key=edge.key)
    description = Op("content.section", TOKEN, [Write("description", None, "Again", [0])])
    arrive(renewed.make(description, refs=[second.dot], ms=wall.ms))
    assert Entry.objects.filter(state=Entry.State.HELD).count() == 2
    arrive(renewed.make(title(TOKEN, "Again", (0,)), refs=[first.dot], ms=wall.ms))
    arrive(
        renewed.make(
            Op("content.section", TOKEN, [Write("description", None, "More", [0, 1])]),
            refs=[second.dot, renewed.made[0].dot],
            ms=wall.ms,
        )
    )
    assert Entry.objects.filter(state=Entry.State.HELD).count() == 0


def test_a_tool_of_these_tests_puts_back_what_was():
    """Switching between replicas in one database loses nothing."""
    Section.objects.create(title="Kept")
    copy, before = backup(), (registers.digest(), rows())
    forget_everything()
    take_back(copy)
    with transaction.atomic():
        rebuild.rebuild({RowKey(*row) for row in Register.objects.values_list("model", "token")})
    assert (registers.digest(), rows()) == before
    assert admission.release() == 0

"""What only a person can decide: found with everything there is to know, decided by an ordinary write, and taken back."""

import json
from importlib import import_module
from io import StringIO
from itertools import permutations

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import call_command

from content.models import Block, Page, Publication, Section
from content.publishing import publish
from sync import conflicts, log, pending, resolving, signals, status
from sync.core.changeset import Op, Write
from sync.core.errors import StaleError
from sync.decisions import decisions, undo
from sync.models import Entry, Register
from sync.registers import RowKey
from sync.verify import verify
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, rows, state, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, OTHER, HOME = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 4)]
SECTION, PAGE, BLOCK, PUBLICATION = (f"content.{name}" for name in ("section", "page", "block", "publication"))


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows and what is marked as undecided are what the log says."""
    yield
    before = marks()
    assert_rows_follow_from_log()
    assert marks() == before


def marks():
    """Return what the registers' rows are marked with."""
    return list(Register.objects.order_by("key").values_list("key", "alive", "siblings", "undecided"))


@pytest.fixture
def one():
    """An edge that is trusted here."""
    return Origin("EDGE01-LON").trust_here()


@pytest.fixture
def two():
    """Another edge that is trusted here."""
    return Origin("EDGE02-LON").trust_here()


def written(model, token, over=(), **values):
    """Return the op that writes fields of a row."""
    return Op(model, token, [Write(name, None, value, list(over)) for name, value in values.items()])


def deleted(model, token, *seen):
    """Return the op that deletes a row."""
    return Op(model, token, [], list(seen))


@pytest.fixture
def disputed(one, two):
    """A section whose title two edges changed at once: base "News", siblings "Old news" and the shown "New news"."""
    base = one.make(written(SECTION, TOKEN, title="News", description="x", ordering=1), ms=1000)
    made = [
        base,
        one.make(title(TOKEN, "Old news", (0,)), refs=[base.dot], ms=2000),
        two.make(title(TOKEN, "New news", (0,)), refs=[base.dot], ms=3000),
    ]
    arrive(*made)
    return made


def the_conflict(field="title", model=SECTION, token=TOKEN):
    """Return a conflict, which is there."""
    found = conflicts.find(model, token, field)
    assert found is not None
    return found


# --- finding them ----------------------------------------------------------------------------------------------------------------


def test_a_conflict_tells_who_where_when_and_what(disputed, one, two):
    """Both values, the shown one first, with what both authors had seen."""
    _, old, new = disputed
    [found] = conflicts.conflicts()
    assert (found.kind, found.model, found.token, found.field) == ("value", SECTION, TOKEN, "title")
    assert (found.row, found.base) == ("New news", "News")
    assert [(v.value, v.origin, v.author, v.time, v.shown, v.dot) for v in found.versions] == [
        ("New news", f"{two.name}.{two.incarnation}", "ada", "1970-01-01T00:00:03.000+00:00", True, new.dot.hex()),
        ("Old news", f"{one.name}.{one.incarnation}", "ada", "1970-01-01T00:00:02.000+00:00", False, old.dot.hex()),
    ]
    assert sorted(found.seen) == sorted([old.dot.hex(), new.dot.hex()])
    assert found == the_conflict() == conflicts.of_rows([(SECTION, TOKEN), (PAGE, OTHER)])[0]
    assert conflicts.count() == status.status()["conflicts"] == 1


def test_differences_of_a_version_are_marked(disputed):
    """From what both had seen to what one made of it."""
    found = the_conflict()
    assert [found.differences(version) for version in found.versions] == [
        [[("removed", "News"), ("added", " New news")]],
        [[("removed", "News"), ("added", " Old news")]],
    ]


def test_a_row_that_cannot_be_named_hides_no_conflict(disputed, monkeypatch):
    """It is called by its token."""

    def fail(section):
        raise TypeError("no title")

    monkeypatch.setattr(Section, "__str__", fail)
    assert the_conflict().row == TOKEN


def test_times_sets_and_what_is_not_known_here_are_no_conflict(one, two):
    """A last change, a tag that two add, one that one adds and another takes out, a field and a model of a newer release."""
    for origin, value in ((one, "2026-01-01T00:00:00+00:00"), (two, "2026-01-02T00:00:00+00:00")):
        origin.make(
            written(PAGE, TOKEN, title="Same", novelty=value),
            Op(PAGE, TOKEN, [Write("updated", None, value, [], True), Write("tags", "river", True, [])]),
            Op(PAGE, TOKEN, [Write("tags", "tide", origin is one, [])]),
            written("future.thing", TOKEN, name=value),
        )
        arrive(origin.made[-1])
    assert Page.objects.get().tags == ["river", "tide"]
    assert list(conflicts.conflicts()) == []


def test_what_others_say_of_what_is_made_once_is_no_conflict(one, two):
    """A publication shows what its maker wrote and is not deleted: there is nothing to decide."""
    values = {"page_id": OTHER, "section_id": HOME, "slug": "s", "title": "T", "data": {}, "made": "2026-11-22T00:00:00+00:00"}
    made = one.make(written(PUBLICATION, TOKEN, date="2026-11-22T00:00:00+00:00", author="", **values), ms=1000)
    arrive(made, two.make(title(TOKEN, "Rogue", model=PUBLICATION), deleted(PUBLICATION, TOKEN, 0), refs=[made.dot], ms=2000))
    assert Publication.objects.get().title == "T"
    assert conflicts.count() == 0


def test_two_edges_that_add_one_tag_leave_one_tag_which_one_removal_takes_away(one, two):
    """An element is named by its text, not by who added it."""
    made = [origin.make(Op(PAGE, TOKEN, [Write("tags", "river", True, [])])) for origin in (one, two)]
    arrive(*made)
    page = Page.objects.get()
    assert page.tags == ["river"]
    page.tags = []
    page.save()
    assert Page.objects.get().tags == []
    assert conflicts.count() == 0


def test_finding_costs_no_statements_for_each_conflict(one, two, django_assert_max_num_queries):
    """Sixty conflicts, in few statements."""
    tokens = [f"EDGE01-LON-43AX-7K2M9Q{number:02d}-221126143015" for number in range(60)]
    base = one.make(*(title(token, "News") for token in tokens), ms=1000)
    arrive(
        base,
        one.make(*(title(token, "A", (0,)) for token in tokens), refs=[base.dot], ms=2000),
        two.make(*(title(token, "B", (0,)) for token in tokens), refs=[base.dot], ms=3000),
    )
    with django_assert_max_num_queries(20):
        assert len(list(conflicts.conflicts())) == 60


# --- deciding them ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_taking_one_version_closes_the_conflict(disputed, number):
    """An ordinary write over both, signed, in the name of whoever decided."""
    found = the_conflict()
    with pending.written_by("grace"):
        resolving.take(SECTION, TOKEN, "title", found.versions[number].dot, found.seen)
    assert Section.objects.get().title == found.versions[number].value
    assert conflicts.count() == 0
    [*_, (_, changeset)] = log.scan()
    assert changeset.head.author == "grace"
    assert sorted(changeset.head.refs) == sorted(found.seen)


def test_writing_another_value_closes_the_conflict(disputed):
    """The merge that a person made."""
    resolving.write(SECTION, TOKEN, "title", "Old and new news", the_conflict().seen)
    assert Section.objects.get().title == "Old and new news"
    assert conflicts.count() == 0


def test_a_value_that_the_field_does_not_take_is_refused_and_nothing_is_written(disputed):
    """Bad input gets a clear error."""
    before = Entry.objects.count()
    with pytest.raises(ValidationError, match="at most 200"):
        resolving.write(SECTION, TOKEN, "title", "x" * 201, the_conflict().seen)
    assert Entry.objects.count() == before
    assert conflicts.count() == 1


def test_a_version_that_came_while_somebody_decided_stays_open(disputed):
    """Only what was shown is overwritten."""
    found = the_conflict()
    third = Origin("EDGE03-LON").trust_here()
    arrive(third.make(title(TOKEN, "Third", (0,)), refs=[disputed[0].dot]))
    resolving.take(SECTION, TOKEN, "title", found.versions[0].dot, found.seen)
    assert {version.value for version in the_conflict().versions} == {"Third", "New news"}


def test_what_is_decided_already_is_not_decided_again(disputed):
    """The second of two deciders is told, and nothing is written."""
    found = the_conflict()
    resolving.take(SECTION, TOKEN, "title", found.versions[0].dot, found.seen)
    before = Entry.objects.count()
    with pytest.raises(StaleError, match="meanwhile"):
        resolving.take(SECTION, TOKEN, "title", found.versions[1].dot, found.seen)
    assert Entry.objects.count() == before


@pytest.mark.parametrize("kind", ["value", "deletion"])
def test_a_decision_closes_the_conflict_wherever_it_arrives(request, kind):
    """Made here, it is told by an ordinary changeset; a replica that holds the rest and receives it has nothing open."""
    request.getfixturevalue("disputed" if kind == "value" else "kept")
    found = the_conflict("title" if kind == "value" else None)
    if kind == "value":
        resolving.take(SECTION, TOKEN, "title", found.versions[1].dot, found.seen)
    else:
        resolving.keep(SECTION, TOKEN, found.seen)
    everything, before = [changeset for _, changeset in log.scan(None)], state()
    forget_everything()
    for name in ("EDGE01-LON", "EDGE02-LON"):
        arrive(*(changeset for changeset in everything if changeset.head.scope == "trust" or changeset.head.name == name))
    assert conflicts.count() == 1
    arrive(*everything)
    assert state() == before
    assert conflicts.count() == 0


# --- deletions -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(one, two):
    """A section that one edge deleted while another described it."""
    base = one.make(written(SECTION, TOKEN, title="News", slug="news-43ax", description="", ordering=1), ms=1000)
    made = [
        base,
        two.make(written(SECTION, TOKEN, [0], description="unseen"), refs=[base.dot], ms=2000),
        one.make(deleted(SECTION, TOKEN, 0), refs=[base.dot], ms=3000),
    ]
    arrive(*made)
    return made


def test_an_edit_that_a_deletion_had_not_seen_keeps_the_row_and_asks(kept, one, two):
    """Who deleted it and when, and what keeps it."""
    assert Section.objects.get().description == "unseen"
    found = the_conflict(None)
    assert found.kind == "deletion"
    assert [(v.origin, v.author, v.time) for v in found.deletions] == [
        (f"{one.name}.{one.incarnation}", "ada", "1970-01-01T00:00:03.000+00:00")
    ]
    assert (found.shown.value, found.shown.origin) == ("unseen", f"{two.name}.{two.incarnation}")
    assert conflicts.count() == 1


def test_an_ordinary_edit_does_not_answer_the_question(kept):
    """Whoever edits may not know that somebody deleted the row."""
    section = Section.objects.get()
    section.title = "Renamed"
    section.save()
    assert conflicts.count() == 1


def test_keeping_the_row_names_the_deletion_and_closes_the_question(kept):
    """No value changes, and what somebody else makes of the row at the same time is in no conflict with it."""
    before = rows()
    resolving.keep(SECTION, TOKEN, the_conflict(None).seen)
    assert rows() == before
    assert conflicts.count() == 0
    [*_, (_, changeset)] = log.scan()
    assert kept[2].dot.hex() in changeset.head.refs
    assert [write.field for op in changeset.head.ops for write in op.writes] == ["description"], "a text: it merges"
    two = Origin("EDGE03-LON").trust_here()
    arrive(two.make(written(SECTION, TOKEN, [0], description="unseen and more"), refs=[kept[1].dot], ms=9000))
    assert Section.objects.get().description == "unseen and more"
    assert conflicts.count() == 0


def test_deleting_the_row_after_all_closes_the_question(kept):
    """It is gone, and does not rise from what is known."""
    resolving.delete(SECTION, TOKEN, the_conflict(None).seen)
    assert not Section.objects.exists()
    assert conflicts.count() == 0
    arrive(*kept)
    assert not Section.objects.exists()


def test_a_row_that_was_changed_since_it_was_shown_is_not_deleted(kept, two):
    """Whoever decides looks again."""
    found = the_conflict(None)
    arrive(two.make(written(SECTION, TOKEN, [0], title="Newer"), refs=[kept[0].dot], ms=4000))
    with pytest.raises(StaleError, match="look again"):
        resolving.delete(SECTION, TOKEN, found.seen)
    assert Section.objects.get().title == "Newer"


def test_a_second_deletion_that_came_meanwhile_is_not_answered(kept):
    """Keeping answers the deletions that were shown."""
    found = the_conflict(None)
    third = Origin("EDGE03-LON").trust_here()
    arrive(third.make(deleted(SECTION, TOKEN, 0), refs=[kept[0].dot], ms=4000))
    resolving.keep(SECTION, TOKEN, found.seen)
    assert [version.origin[:6] for version in the_conflict(None).deletions] == ["EDGE03"]


# --- what was deleted ------------------------------------------------------------------------------------------------------------


def everywhere(promise):
    """See ``promise`` here, after the registers were derived from the log anew, and at a peer that is given all at once."""
    promise()
    assert not list(verify())
    assert_rows_follow_from_log()
    promise()
    everything, before = [changeset for _, changeset in log.scan(None)], state()
    forget_everything()
    arrive(*everything)
    assert state() == before
    promise()
    assert not list(verify())


def test_a_conflict_goes_with_its_row_where_whoever_deleted_it_had_seen_all_versions(disputed):
    """Nothing is left to decide about what is not there any more; whoever decides too late is told so."""
    found = the_conflict()
    Section.objects.get().delete()

    def nothing_is_open():
        assert not Section.objects.exists()
        assert list(conflicts.conflicts()) == conflicts.of_rows([(SECTION, TOKEN)]) == []
        assert conflicts.count() == status.status()["conflicts"] == 0
        assert not conflicts.open_rows().exists()

    everywhere(nothing_is_open)
    with pytest.raises(StaleError):
        resolving.take(SECTION, TOKEN, "title", found.versions[0].dot, found.seen)


@pytest.mark.parametrize("decide", ["delete", "keep"])
def test_a_version_that_a_deletion_had_not_seen_keeps_the_row_and_all_that_is_asked_is_decided(disputed, one, decide):
    """Whether it was deleted, and which title it has, are two questions; letting it go answers both."""
    base, old, _ = disputed
    arrive(one.make(deleted(SECTION, TOKEN, 0, 1), refs=[base.dot, old.dot], ms=4000))

    def both_are_asked():
        assert Section.objects.get().title == "New news"
        assert [found.kind for found in conflicts.conflicts()] == ["deletion", "value"]

    everywhere(both_are_asked)
    if decide == "delete":
        resolving.delete(SECTION, TOKEN, the_conflict(None).seen)
    else:
        resolving.keep(SECTION, TOKEN, the_conflict(None).seen)
        found = the_conflict()
        resolving.take(SECTION, TOKEN, "title", found.versions[1].dot, found.seen)
        assert Section.objects.get().title == found.versions[1].value
    assert conflicts.count() == 0
    assert Section.objects.exists() is (decide == "keep")


def test_a_deleted_row_that_rises_again_asks_again_what_nobody_decided(disputed, two):
    """An edit that the deletion had not seen brings the row back, and with it its versions."""
    Section.objects.get().delete()
    assert conflicts.count() == 0
    arrive(two.make(written(SECTION, TOKEN, [0], description="unseen"), refs=[disputed[0].dot], ms=5000))
    assert [found.kind for found in conflicts.conflicts()] == ["deletion", "value"]
    found = the_conflict()
    resolving.take(SECTION, TOKEN, "title", found.versions[1].dot, found.seen)
    resolving.keep(SECTION, TOKEN, the_conflict(None).seen)
    assert conflicts.count() == 0


@pytest.mark.parametrize("is_known_before", [True, False])
def test_of_a_row_that_cannot_be_shown_a_version_that_can_be_is_taken(one, two, is_known_before):
    """It is asked about wherever it is held, whether or not the row was there before, and deciding shows the row."""
    base = one.make(written(SECTION, TOKEN, title="News", slug="news-43ax", description="", ordering=1), ms=1000)
    good = one.make(title(TOKEN, "Old news", (0,)), refs=[base.dot], ms=2000)
    bad = two.make(title(TOKEN, "x" * 300, (0,)), refs=[base.dot], ms=3000)
    if is_known_before:
        arrive(base)
    arrive(base, good, bad)
    assert Register.objects.filter(projected=False).count() == 1
    found = the_conflict()
    resolving.take(SECTION, TOKEN, "title", good.dot.hex(), found.seen)
    assert Section.objects.get().title == "Old news"
    assert conflicts.count() == Register.objects.filter(projected=False).count() == 0


def page_with_unseen_block(one, two):
    """Let one edge delete a page to which another adds a block; return page, deletion, block."""
    page = one.make(
        written(PAGE, TOKEN, title="Page", section_id=HOME, updated="2026-11-22T00:00:00+00:00"),
        ms=1000,
    )
    gone = one.make(deleted(PAGE, TOKEN, 0), refs=[page.dot], ms=2000)
    block = two.make(written(BLOCK, OTHER, parent_id=TOKEN, ordering="a", type="code"), ms=3000)
    arrive(page, gone, block)
    return page, gone, block


def test_a_block_that_a_deletion_of_its_page_had_not_seen_keeps_the_page_and_asks(one, two):
    """What keeps it is the block; kept, the page lives without the block too."""
    page_with_unseen_block(one, two)
    found = the_conflict(None, PAGE)
    assert found.shown.origin == f"{two.name}.{two.incarnation}"
    resolving.keep(PAGE, TOKEN, found.seen)
    assert conflicts.count() == 0
    Block.objects.get().delete()
    assert Page.objects.get().title == "Page"


def named_as_changed():
    """Collect what is named to those who show pages, such as the folder of pages."""
    named: set[RowKey] = set()

    def note(rows, **_):
        named.update(rows)

    signals.projected.connect(note, weak=False)
    return named, lambda: signals.projected.disconnect(note)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_page_that_lives_by_a_block_alone_goes_with_it(one, two, how, where):
    """Whether the block is deleted or moved to another page, here or elsewhere; and who shows the page is told."""
    *_, block = page_with_unseen_block(one, two)
    other = Page.objects.create(title="Other", section_id="x")
    key = Block.objects.get().pk
    named, end = named_as_changed()
    try:
        if where == "here" and how == "deleted":
            Block.objects.get().delete()
        elif where == "here":
            Block.objects.filter(pk=key).update(parent=other)
        elif how == "deleted":
            arrive(two.make(Op("content.block", key, [], [0]), refs=[block.dot]))
        else:
            arrive(two.make(Op("content.block", key, [Write("parent_id", None, other.pk, [0])]), refs=[block.dot]))
    finally:
        end()
    assert list(Page.objects.values_list("pk", flat=True)) == [other.pk]
    assert RowKey(PAGE, TOKEN) in named
    assert_rows_follow_from_log()
    assert not list(verify())


def test_deleting_the_page_after_all_takes_the_unseen_block_along(one, two):
    """Both were shown to whoever decided."""
    page_with_unseen_block(one, two)
    resolving.delete(PAGE, TOKEN, the_conflict(None, PAGE).seen)
    assert not Page.objects.exists() and not Block.objects.exists()
    assert conflicts.count() == 0


def test_a_block_added_while_somebody_decides_keeps_its_page(one, two):
    """It was not shown."""
    page_with_unseen_block(one, two)
    found = the_conflict(None, PAGE)
    Block.objects.create(parent_id=TOKEN, ordering="b", type="code")
    with pytest.raises(StaleError):
        resolving.delete(PAGE, TOKEN, found.seen)
    assert Block.objects.count() == 2


def test_a_timestamp_raises_no_deleted_page(one, two):
    """Saving something else of it says when; that alone keeps nothing alive."""
    page = one.make(written(PAGE, TOKEN, title="Page", section_id=HOME), ms=1000)
    stamp = Op(PAGE, TOKEN, [Write("updated", None, "2026-11-22T00:00:00+00:00", [], True)])
    arrive(page, one.make(deleted(PAGE, TOKEN, 0), refs=[page.dot], ms=2000), two.make(stamp, ms=3000))
    assert not Page.objects.exists()
    assert conflicts.count() == 0


def test_moving_one_block_raises_no_other_that_was_deleted():
    """A move writes only what moved: of three blocks, one moved here and another deleted elsewhere, two are left."""
    page = Page.objects.create(title="Page", section=Section.objects.create(title="News"))
    blocks = [Block.objects.create(parent=page, ordering=key, type="code") for key in "abc"]
    stale = [Block.objects.get(pk=block.pk) for block in blocks]
    blocks[0].delete()
    stale[2].ordering = "aa"
    stale[2].save()
    assert [block.ordering for block in Block.objects.all()] == ["aa", "b"]
    assert conflicts.count() == 0


def test_a_deleted_row_does_not_rise_from_an_old_copy(one):
    """Somebody who had loaded it before saves it unchanged, or hands on what he holds: it is still gone."""
    made = one.make(written(SECTION, TOKEN, title="News", slug="news-43ax", description="", ordering=1))
    arrive(made)
    copy = Section.objects.get()
    Section.objects.get().delete()
    copy.save()
    arrive(made)
    assert not Section.objects.exists()
    assert not Register.objects.filter(alive=True, model=SECTION).exists()


def test_a_row_made_anew_under_the_same_title_is_another_row(client):
    """It has a key and an address of its own, also where both have one tag; the former address is dead, here and at a peer."""
    home = Section.objects.create(title="Home")

    def make(token):
        made = Section.objects.create(title="News", token=token), Page.objects.create(title="News", token=token, section=home)
        publish(made[1])
        return {row.slug for row in made}, [row.get_absolute_url() for row in made], made

    slug, former, rows_made = make(TOKEN)
    for row in rows_made:
        row.delete()
    others, present, _ = make(OTHER)
    assert slug == {"news-43ax"} and not slug & others

    def assert_one_is_dead_and_one_alive():
        assert list(Section.objects.exclude(title="Home").values_list("pk", flat=True)) == [OTHER]
        assert list(Page.objects.values_list("pk", flat=True)) == [OTHER]
        assert [client.get(address).status_code for address in former] == [410, 410]
        assert [client.get(address).status_code for address in present] == [200, 200]
        assert conflicts.count() == 0

    assert_one_is_dead_and_one_alive()
    everything, before = [changeset for _, changeset in log.scan()], state()
    forget_everything()
    arrive(*everything)
    assert state() == before
    assert_one_is_dead_and_one_alive()


def test_a_block_moved_unseen_raises_no_deleted_page(one, two):
    """A reorder is no edit: page and block stay deleted, and nobody is asked."""
    page = one.make(
        written(PAGE, TOKEN, title="Page", section_id=HOME),
        written(BLOCK, OTHER, parent_id=TOKEN, type="code"),
        Op(BLOCK, OTHER, [Write("ordering", None, "a", [], True)]),
        ms=1000,
    )
    gone = one.make(deleted(PAGE, TOKEN, 0), deleted(BLOCK, OTHER, 0), refs=[page.dot], ms=2000)
    moved = two.make(Op(BLOCK, OTHER, [Write("ordering", None, "b", [0], True)]), refs=[page.dot], ms=3000)
    arrive(page, gone, moved)
    assert not Page.objects.exists() and not Block.objects.exists()
    assert conflicts.count() == 0


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_what_is_asked_does_not_hang_on_the_order_of_arrival(one, two, order):
    """The answer may come before the edit and the deletion that it is about."""
    third, fourth = Origin("EDGE03-LON").trust_here(), Origin("EDGE04-LON").trust_here()
    base = one.make(written(SECTION, TOKEN, title="News", description="x"), ms=1000)
    edit = two.make(written(SECTION, TOKEN, [0], description="unseen"), refs=[base.dot], ms=2000)
    gone = third.make(deleted(SECTION, TOKEN, 0), refs=[base.dot], ms=3000)
    kept = fourth.make(written(SECTION, TOKEN, [0, 1], title="News"), refs=[base.dot, gone.dot], ms=4000)
    for number in order:
        arrive([base, edit, gone, kept][number])
    assert (Section.objects.get().title, Section.objects.get().description) == ("News", "unseen")
    assert conflicts.count() == 0


def test_an_upgrade_marks_the_rows_that_wait_for_an_answer(kept):
    """Those that lived against a deletion before the mark was there."""
    Register.objects.update(undecided=False)
    assert conflicts.count() == 0
    import_module("sync.migrations.0005_register_undecided").find_undecided(apps, None)
    assert conflicts.count() == 1


def test_very_many_versions_are_looked_at_in_part(one, two):
    """A hostile peer writes one title four hundred times without seeing it; whoever decides is shown the latest hundred."""
    arrive(*(one.make(title(TOKEN, f"Title {number}")) for number in range(400)))
    found = the_conflict()
    assert len(found.versions) == len(found.seen) == 100
    assert found.shown.value == "Title 399" == Section.objects.get().title


# --- undo ------------------------------------------------------------------------------------------------------------------------


def facts(found):
    """Return what is to be equal of a conflict that was decided and opened again: all but dots, authors and times."""
    return found.field, found.base, [(version.value, version.shown) for version in found.versions]


@pytest.mark.parametrize("decide", ["take", "write"])
def test_a_decision_is_found_from_the_log_and_taken_back(disputed, decide):
    """The conflict is open again as it was, with the same base, and the same version is shown."""
    before = the_conflict()
    with pending.written_by("grace"):
        if decide == "take":
            resolving.take(SECTION, TOKEN, "title", before.versions[1].dot, before.seen)
        else:
            resolving.write(SECTION, TOKEN, "title", "Both", before.seen)
    [decision] = decisions()
    assert (decision.kind, decision.field, decision.made.author) == ("value", "title", "grace")
    assert [version.value for version in decision.former] == ["New news", "Old news"]
    undo(decision.model, decision.token, decision.field, decision.made.dot)
    assert facts(the_conflict()) == facts(before)
    assert decisions() == []


def test_a_text_that_was_decided_is_open_again_and_not_merged_with_the_decision(one, two):
    """The base of the reopened versions is what their authors had seen."""
    base = one.make(written(SECTION, TOKEN, title="News", description="a b c"), ms=1000)
    sides = [
        origin.make(written(SECTION, TOKEN, [0], description=text), refs=[base.dot], ms=2000)
        for origin, text in ((one, "a 1 c"), (two, "a 2 c"))
    ]
    arrive(base, *sides)
    before = the_conflict("description")
    resolving.take(SECTION, TOKEN, "description", before.versions[0].dot, before.seen)
    [decision] = decisions()
    undo(SECTION, TOKEN, "description", decision.made.dot)
    assert facts(the_conflict("description")) == facts(before)


def test_a_decision_that_was_written_over_is_not_taken_back(disputed):
    """Somebody went on from it."""
    found = the_conflict()
    resolving.take(SECTION, TOKEN, "title", found.versions[1].dot, found.seen)
    [decision] = decisions()
    Section.objects.update(title="Newest")
    assert decisions() == []
    with pytest.raises(StaleError, match="stands no more"):
        undo(SECTION, TOKEN, "title", decision.made.dot)
    assert Section.objects.get().title == "Newest"


def test_keeping_a_row_is_taken_back(kept):
    """The question is open again."""
    resolving.keep(SECTION, TOKEN, the_conflict(None).seen)
    [decision] = decisions()
    assert decision.kind == "kept"
    undo(SECTION, TOKEN, None, decision.made.dot)
    assert the_conflict(None).kind == "deletion"
    assert Section.objects.get().description == "unseen"
    assert decisions() == []


def test_deleting_a_page_after_all_is_taken_back(one, two):
    """Page and block are there again, and the first deletion waits for its answer as before."""
    page_with_unseen_block(one, two)
    before = rows()
    resolving.delete(PAGE, TOKEN, the_conflict(None, PAGE).seen)
    [decision] = decisions()
    assert (decision.kind, decision.token) == ("deleted", TOKEN)
    undo(PAGE, TOKEN, None, decision.made.dot)
    assert rows() == before
    assert [found.token for found in conflicts.conflicts()] == [TOKEN]
    assert decisions() == []


def test_ordinary_writes_and_deletions_are_no_decisions(disputed):
    """A save over what was merged, a deletion of what is in nobody's way."""
    section = Section.objects.create(title="Other", description="a\nb\nc")
    one, other = Section.objects.get(pk=section.pk), Section.objects.get(pk=section.pk)
    one.description, other.description = "1\nb\nc", "a\nb\n3"
    one.save()
    other.save()
    merged = Section.objects.get(pk=section.pk)
    merged.description = "1\n2\n3"
    merged.save()
    merged.delete()
    assert decisions() == []


# --- the command -----------------------------------------------------------------------------------------------------------------


def test_the_command_lists_what_is_open(disputed, one, two):
    """One object for programs, lines with all values for people."""
    out = StringIO()
    call_command("sync_conflicts", "--json", stdout=out)
    [found] = json.loads(out.getvalue())["conflicts"]
    assert (found["model"], found["token"], found["field"]) == (SECTION, TOKEN, "title")
    assert found["shown"]["value"] == "New news"
    assert [other["value"] for other in found["others"]] == ["Old news"]
    for side in (found["shown"], *found["others"]):
        assert {"origin", "author", "time"} <= side.keys()
    out = StringIO()
    call_command("sync_conflicts", stdout=out)
    assert "New news" in out.getvalue() and "Old news" in out.getvalue() and "ada" in out.getvalue()


def test_the_command_lists_deletions(kept):
    """A question about a row has no field; the other side is the deletion."""
    out = StringIO()
    call_command("sync_conflicts", "--json", stdout=out)
    [found] = json.loads(out.getvalue())["conflicts"]
    assert (found["kind"], found["field"], found["shown"]["value"]) == ("deletion", None, "unseen")
    assert [other["author"] for other in found["others"]] == ["ada"]
    out = StringIO()
    call_command("sync_conflicts", stdout=out)
    assert "deleted by" in out.getvalue()

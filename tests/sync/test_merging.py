"""What a row shows of several versions of a text: their merge, the same on every replica; and who is shown it has seen them all."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Block, Page, Section
from sync import conflicts, log, registers
from sync.core.changeset import Op, Write
from sync.models import Register
from sync.registers import RowKey
from sync.versions import Versions
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "EDGE01-LON-43AX-7K2M9QX1-221126143015"
BASE = "<p>The tide turns at noon.</p><p>Bring boots.</p>"


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    yield
    assert_rows_follow_from_log()


@pytest.fixture
def one():
    """An edge that is trusted here."""
    return Origin("EDGE01-LON").trust_here()


@pytest.fixture
def two():
    """Another edge that is trusted here."""
    return Origin("EDGE02-LON").trust_here()


def describes(value, over=(), token=TOKEN):
    """Return the op that sets a section's description, a field of policy ``text``."""
    return Op("content.section", token, [Write("description", None, value, list(over))])


def block(value, over=(), key="html"):
    """Return the op that writes a key of a block."""
    return Op("content.block", TOKEN, [Write("data", key, value, list(over))])


def shown():
    """Return the description that is shown."""
    return Section.objects.get(pk=TOKEN).description


def heads(name="description", model="content.section"):
    """Return the heads of a register."""
    return registers.Row.decode(bytes(Register.objects.get(model=model, token=TOKEN).state)).heads[name]


def test_two_texts_of_one_base_are_shown_merged_and_are_no_conflict(one, two):
    """Each changed another word; what is shown says both, the digest knows nothing of it, and no changeset was made."""
    base = one.make(describes("the cat sat"), ms=1000)
    made = [
        one.make(describes("the black cat sat", [0]), refs=[base.dot], ms=2000),
        two.make(describes("the cat stood", [0]), refs=[base.dot], ms=3000),
    ]
    arrive(base, *made)
    assert shown() == "the black cat stood"
    assert conflicts.count() == 0
    assert sorted(heads()) == sorted(changeset.dot for changeset in made)


def test_what_does_not_merge_shows_the_greatest_and_is_a_conflict(one, two):
    """The same word, twice."""
    base = one.make(describes("the cat sat"), ms=1000)
    arrive(
        base,
        one.make(describes("the cat stood", [0]), refs=[base.dot], ms=2000),
        two.make(describes("the cat lay", [0]), refs=[base.dot], ms=3000),
    )
    assert shown() == "the cat lay"
    assert conflicts.count() == 1


def test_texts_without_a_common_ancestor_are_not_merged(one, two):
    """Nobody can say which of the two added what."""
    arrive(one.make(describes("a b"), ms=1000), two.make(describes("a c"), ms=2000))
    assert shown() == "a c"
    assert conflicts.count() == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0)])
def test_every_order_of_arrival_shows_the_same_merge(one, two, order):
    """Also where the base comes last: then there is nothing to merge with until it is here."""
    three = Origin("EDGE03-LON").trust_here()
    base = three.make(describes("the cat sat"), ms=1000)
    made = [
        base,
        one.make(describes("the black cat sat", [0]), refs=[base.dot], ms=2000),
        two.make(describes("the cat stood", [0]), refs=[base.dot], ms=3000),
    ]
    for number in order:
        arrive(made[number])
    assert shown() == "the black cat stood"


def test_a_base_that_is_a_merge_itself(one, two):
    """Two saw both of the first two texts and changed each something else: the base is what they saw, which nobody wrote."""
    base = one.make(describes("one\ntwo\nthree\nfour"), ms=1000)
    first = one.make(describes("1\ntwo\nthree\nfour", [0]), refs=[base.dot], ms=2000)
    second = two.make(describes("one\ntwo\nthree\n4", [0]), refs=[base.dot], ms=2001)
    both = [first.dot, second.dot]
    arrive(base, first, second)
    arrive(
        one.make(describes("1\n2\nthree\n4", [0, 1]), refs=both, ms=3000),
        two.make(describes("1\ntwo\n3\n4", [0, 1]), refs=both, ms=3001),
    )
    assert shown() == "1\n2\n3\n4"
    assert conflicts.count() == 0


def test_keys_of_a_block_merge_by_element_and_word_with_marks_as_sets(one, two):
    """One makes a word bold, the other changes another word and adds a paragraph."""
    base = one.make(block(BASE), Op("content.block", TOKEN, [Write("type", None, "richtext", [])]), ms=1000)
    bold = "<p>The <strong>tide</strong> turns at noon.</p><p>Bring boots.</p>"
    more = "<p>The tide turns at one.</p><p>Bring boots.</p><p>And a hat.</p>"
    arrive(
        base,
        one.make(block(bold, [0]), refs=[base.dot], ms=2000),
        two.make(block(more, [0]), refs=[base.dot], ms=3000),
    )
    merged = "<p>The <strong>tide</strong> turns at one.</p><p>Bring boots.</p><p>And a hat.</p>"
    assert Block.objects.get().data == {"html": merged}
    assert conflicts.count() == 0


def test_what_is_merged_is_made_safe_to_show(one, two):
    """Each text by itself may be harmless or not; what is put together passes the cleaner."""
    base = one.make(block("<p>a</p><p>b</p>"), ms=1000)
    arrive(
        base,
        one.make(block('<p onclick="x()">1</p><p>b</p>', [0]), refs=[base.dot], ms=2000),
        two.make(block("<p>a</p><p>2</p>", [0]), refs=[base.dot], ms=3000),
    )
    assert Block.objects.get().data == {"html": "<p>1</p><p>2</p>"}


def test_keys_that_are_no_text_are_not_merged(one, two):
    """Who said it is one name, of one author or the other."""
    base = one.make(block("Ada Lovelace", key="attribution"), ms=1000)
    arrive(
        base,
        one.make(block("Ada King Lovelace", [0], "attribution"), refs=[base.dot], ms=2000),
        two.make(block("Ada Byron", [0], "attribution"), refs=[base.dot], ms=3000),
    )
    assert Block.objects.get().data == {"attribution": "Ada Byron"}
    assert [conflict.field for conflict in conflicts.conflicts()] == ["data/attribution"]


# --- who has seen what -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def section():
    """A section with a description that two authors are about to change."""
    return Section.objects.create(token=TOKEN, title="News", description="one\ntwo\nthree")


def saved(instance, description):
    """Save the description that an author made of ``instance``."""
    instance.description = description
    instance.save()


def loaded():
    """Return the section as an author loads it."""
    return Section.objects.get(pk=TOKEN)


def test_a_save_here_shows_the_merge_at_once(section):
    """Two instances loaded before either was saved."""
    mine, theirs = loaded(), loaded()
    saved(mine, "1\ntwo\nthree")
    saved(theirs, "one\ntwo\n3")
    assert shown() == "1\ntwo\n3"
    assert len(heads()) == 2


def test_who_was_shown_the_merge_overwrites_all(section):
    """One head is left."""
    mine, theirs = loaded(), loaded()
    saved(mine, "1\ntwo\nthree")
    saved(theirs, "one\ntwo\n3")
    saved(loaded(), "1\n2\n3")
    assert (shown(), len(heads())) == ("1\n2\n3", 1)


def test_who_was_shown_one_of_two_overwrites_only_that(section):
    """The one that was not shown is still there."""
    mine, theirs = loaded(), loaded()
    saved(mine, "1\ntwo\nthree")
    saved(theirs, "I\ntwo\nthree")
    saved(loaded(), "First\ntwo\nthree")
    assert sorted(version.value for version in conflicts.find("content.section", TOKEN, "description").versions) == [
        "1\ntwo\nthree",
        "First\ntwo\nthree",
    ]


def test_who_was_shown_a_merge_that_grew_meanwhile_overwrites_what_was_in_it(section):
    """A third text came while the form was open: it was not shown, and merges with what is saved."""
    mine, theirs, other = loaded(), loaded(), loaded()
    saved(mine, "1\ntwo\nthree")
    saved(theirs, "one\ntwo\n3")
    form = loaded()
    saved(other, "one\n2\nthree")
    assert shown() == "1\n2\n3"
    saved(form, "1!\ntwo\n3")
    assert (shown(), len(heads())) == ("1!\n2\n3", 2)


def test_who_was_shown_a_merge_that_is_overwritten_meanwhile_has_its_parts_as_ancestors(section):
    """Two forms open on one merge: each changes another line, and both lines are shown."""
    mine, theirs = loaded(), loaded()
    saved(mine, "1\ntwo\nthree")
    saved(theirs, "one\ntwo\n3")
    form, late = loaded(), loaded()
    saved(form, "1!\ntwo\n3")
    saved(late, "1\ntwo\n3!")
    assert shown() == "1!\ntwo\n3!"
    assert conflicts.count() == 0


def test_two_saves_of_one_instance_are_no_conflict_with_oneself(section):
    """The second names the first, though the row shows the merge with somebody else's text meanwhile."""
    mine, theirs = loaded(), loaded()
    saved(theirs, "one\ntwo\n3")
    saved(mine, "1\ntwo\nthree")
    assert shown() == "1\ntwo\n3"
    saved(mine, "1!\ntwo\nthree")
    assert (shown(), len(heads())) == ("1!\ntwo\n3", 2)


def test_an_instance_loaded_before_something_arrived_and_saved_after_keeps_both(one):
    """What came in between was not seen by its author."""
    mine = Section.objects.create(token=TOKEN, title="News", description="one\ntwo")
    [known] = heads()
    stale = loaded()
    arrive(one.make(describes("one\n2", [0]), refs=[known]))
    saved(stale, "1\ntwo")
    assert mine.token == TOKEN
    assert shown() == "1\n2"


def test_a_title_saved_from_a_stale_instance_is_a_conflict_and_not_an_overwriting(one):
    """A field that does not merge: both are kept."""
    Section.objects.create(token=TOKEN, title="News")
    [known] = heads("title")
    stale = loaded()
    arrive(one.make(Op("content.section", TOKEN, [Write("title", None, "Theirs", [0])]), refs=[known]))
    stale.title = "Mine"
    stale.save()
    found = conflicts.find("content.section", TOKEN, "title")
    assert sorted(version.value for version in found.versions) == ["Mine", "Theirs"]
    assert found.base == "News"


def carried(name, model="content.section"):
    """Return the heads of a register that a form of the row carries as shown."""
    key = RowKey(model, TOKEN)
    return sorted(Versions.read([key]).rows[key][name])


def test_a_form_carries_all_that_a_merge_is_made_of_and_one_of_what_does_not_merge(one, two):
    """Its save overwrites what its author was shown."""
    base = one.make(describes("a b c"), title(TOKEN, "News"), ms=1000)
    made = [
        one.make(describes("1 b c", [0]), title(TOKEN, "Old", (0,)), refs=[base.dot], ms=2000),
        two.make(describes("a b 3", [0]), title(TOKEN, "New", (0,)), refs=[base.dot], ms=3000),
    ]
    arrive(base, *made)
    assert carried("description") == sorted(changeset.dot for changeset in made)
    assert carried("title") == [made[1].dot]


def test_a_form_carries_both_additions_of_one_tag(one, two):
    """The tag was shown, whoever had added it; taken out in the form, it is gone."""
    made = [origin.make(Op("content.page", TOKEN, [Write("tags", "river", True, [])])) for origin in (one, two)]
    arrive(*made)
    assert carried("tags/river", "content.page") == sorted(changeset.dot for changeset in made)


def test_a_form_carries_the_head_that_took_the_page_down(one, two):
    """The later publication beside it was not shown."""
    base = one.make(points("PUB1"), title(TOKEN, "Page", model="content.page"), ms=1000)
    down = one.make(points(None, [0]), refs=[base.dot], ms=2000)
    arrive(base, down, two.make(points("PUB2", [0]), refs=[base.dot], ms=3000))
    assert carried("publication_id", "content.page") == [down.dot]


def test_a_long_way_to_the_base_reads_each_segment_once(one, two, monkeypatch):
    """Eighty saves of one author beside one of another: the ancestors stand together, and are not read one by one."""
    made = [one.make(describes("a b c"), ms=1000)]
    for number in range(80):
        made.append(one.make(describes(f"a{number} b c", [0]), refs=[made[-1].dot], ms=2000 + number))
    arrive(*made)
    read, real = [], log.segment
    monkeypatch.setattr(log, "segment", lambda number: read.append(number) or real(number))
    arrive(two.make(describes("a b 3", [0]), refs=[made[0].dot], ms=9000))
    assert shown() == "a79 b 3"
    assert len(read) <= 3


# --- any history -----------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw):
    """What three replicas wrote to one text, each having been shown the merge of some of what there was; and their own words."""
    origins = [Origin(f"EDGE0{number}-LON", key=KEYS[number]) for number in range(1, 4)]
    made = [origins[0].make(describes("a b c\n\nd e f\n\ng h i"), ms=1_700_000_000_000)]
    texts = {made[0].dot: "a b c\n\nd e f\n\ng h i"}
    for number in range(1, draw(st.integers(3, 8))):
        seen = draw(st.sampled_from(made))
        lines = [line.split(" ") for line in texts[seen.dot].split("\n")]
        line = lines[draw(st.sampled_from([0, 2, 4]))]
        line[draw(st.integers(0, len(line) - 1))] = f"own{number}"
        text = "\n".join(" ".join(line) for line in lines)
        made.append(draw(st.sampled_from(origins)).make(describes(text, [0]), refs=[seen.dot], ms=1_700_000_000_000 + number))
        texts[made[-1].dot] = text
    return made


KEYS = {number: Ed25519PrivateKey.generate() for number in range(1, 4)}


def _replayed(made):
    forget_everything()
    for number in range(1, 4):
        Origin(f"EDGE0{number}-LON", key=KEYS[number]).trust_here()
    for changeset in made:
        arrive(changeset)
    return shown(), conflicts.count(), set(heads())


@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_order_of_arrival_shows_the_same_and_no_head_is_out_of_sight(data):
    """Whatever was written and is a head is in what is shown, or somebody is asked."""
    made = data.draw(histories())
    text, open_conflicts, standing = _replayed(made)
    queues = [[c for c in made if c.head.name == f"EDGE0{number}-LON"] for number in range(1, 4)]
    order = []
    while any(queues):
        order.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    assert _replayed(order) == (text, open_conflicts, standing)
    if not open_conflicts:
        latest = {f"own{number}" for number, changeset in enumerate(made) if changeset.dot in standing and number}
        assert latest <= set(text.split())


# --- taken down wins -------------------------------------------------------------------------------------------------------------


def points(value, over=()):
    """Return the op that points the page to a publication, or to none."""
    return Op("content.page", TOKEN, [Write("publication_id", None, value, list(over))])


@pytest.mark.parametrize("down_first", [True, False])
def test_a_page_taken_down_stays_down_against_a_later_publication_elsewhere(one, two, down_first):
    """While both stand the public does not see it, whichever was later; whoever saw that and publishes ends it."""
    base = one.make(points("PUB1"), Op("content.page", TOKEN, [Write("title", None, "Page", [])]), ms=1000)
    down = one.make(points(None, [0]), refs=[base.dot], ms=2000 if down_first else 4000)
    up = two.make(points("PUB2", [0]), refs=[base.dot], ms=3000)
    arrive(base, down, up)
    assert Page.objects.get().publication_id is None
    found = conflicts.find("content.page", TOKEN, "publication_id")
    assert [version.value for version in found.versions] == [None, "PUB2"]
    arrive(one.make(points("PUB3", [0]), refs=[down.dot], ms=5000))
    assert Page.objects.get().publication_id == "PUB3"


def test_a_page_taken_down_here_is_down_though_a_sibling_is_published(one):
    """The instance did not know of the other publication."""
    page = Page.objects.create(token=TOKEN, title="Page", section=Section.objects.create(title="News"), publication_id="PUB1")
    [known] = heads("publication_id", "content.page")
    page = Page.objects.get()
    arrive(one.make(points("PUB2", [0]), refs=[known]))
    page.publication_id = None
    page.save()
    assert Page.objects.get().publication_id is None


def test_merges_cost_no_statements_for_each_row(one, two):
    """Fifty rows that merge are read in as many statements as five."""
    tokens = [f"EDGE01-LON-43AX-7K2M9Q{number:02d}-221126143015" for number in range(60)]
    base = one.make(*(describes("a b c", token=token) for token in tokens), ms=1000)
    arrive(base)

    def change(chosen, ms):
        return [
            one.make(*(describes("1 b c", [0], token) for token in chosen), refs=[base.dot], ms=ms),
            two.make(*(describes("a b 3", [0], token) for token in chosen), refs=[base.dot], ms=ms + 1),
        ]

    with CaptureQueriesContext(
        connection,
    ) as few:
        arrive(*change(tokens[:5], 2000))
    with CaptureQueriesContext(connection) as many:
        arrive(*change(tokens[5:55], 3000))
    assert len(many) <= len(few) + 2, json.dumps([query["sql"][:80] for query in many], indent=1)
    assert set(Section.objects.filter(pk__in=tokens[:55]).values_list("description", flat=True)) == {"1 b 3"}

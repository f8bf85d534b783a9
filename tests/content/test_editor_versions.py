"""Promises of the versions that a form carries: what it may overwrite, and that one form is one session however often it is sent."""

import datetime
import threading

import pytest
from django.core import signing
from django.db import connection
from django.utils import timezone

from content.models import Block, Page, Section
from content.publishing import in_order
from sync import conflicts, log
from sync.core.changeset import Op, Write
from sync.models import Entry, Local, Register, Written
from sync.versions import SALT, Versions, row_key
from tests.content.disputes import dispute, edge, next_moment, registers
from tests.content.editing import ADD, add_block, address, fields_of, form_of, make_page, person, save, texts
from tests.content.test_editor_old_forms import versions
from tests.sync.origins import arrive, assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    yield
    assert_rows_follow_from_log()


def sent(client, where, form, button="_save"):
    """Send ``form`` and return the page that answers, which must be one."""
    response = client.post(where, form | {button: ""}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def retitle(page, *titles):
    """Give ``page`` one title after another, as somebody else would."""
    for title in titles:
        other = Page.objects.get(pk=page.pk)
        other.title = title
        other.save()


def changesets():
    """Return how many changesets there are."""
    return Entry.objects.count()


# -- what a form may overwrite --------------------------------------------------------------------


def test_a_value_that_returned_is_not_what_the_form_was_loaded_with():
    """The title went to another and back while the form was open: the way back was not shown, and stays beside what is written."""
    page, client = make_page(title="A"), person("author")
    form = form_of(client, address(page))
    retitle(page, "B", "A")
    save(client, page, form | {"title": "C"})
    assert versions(Page.objects.get(), "title") == ["A", "C"]


def test_a_key_of_a_block_that_returned_is_kept_beside():
    """The same for one key of the data of a block."""
    page, client = make_page(*texts(1)), person("author")
    form = form_of(client, address(page))
    for html in ("<p>B</p>", "<p>0</p>"):
        block = Block.objects.get()
        block.data = {"html": html}
        block.save()
    save(client, page, form | {"richtext-0-html": "<p>C</p>"})
    assert versions(Block.objects.get(), "data/html") == ["<p>0</p>", "<p>C</p>"]


def test_what_was_loaded_is_known_though_its_value_was_dropped(monkeypatch):
    """Where the value that the form was loaded with is gone, as after a compaction, its write is named all the same."""
    page, client = (
        make_page(title="A long title of which more than sixty-four bytes stand beside the changeset"),
        person("author"),
    )
    form = form_of(client, address(page))
    retitle(page, "B")
    before = Page.objects.get().title
    monkeypatch.setattr("sync.core.changeset.Changeset.value", _forgetful(before))
    save(client, page, form | {"title": "C"})
    monkeypatch.undo()
    batch = Register.objects.get(token=page.token)
    assert batch.siblings
    assert versions(Page.objects.get(), "title") == ["B", "C"]
    [*_, (_, last)] = log.scan()
    [write] = [w for op in last.head.ops for w in op.writes if w.field == "title"]
    assert len(write.over) == 1


def _forgetful(kept):
    from sync.core.changeset import Changeset

    original = Changeset.value

    def value(self, write):
        found = original(self, write)
        if isinstance(write.value, dict) and found != kept:
            raise KeyError(write.value["#"])
        return found

    return value


def test_a_form_that_shows_one_of_two_versions_overwrites_that_one_only():
    """Of two siblings the form shows the greater; what it writes takes the place of this one, and the other one stays."""
    page = make_page(title="A")
    for title, shown in [(title, Versions.read([row_key(Page, page.pk)])) for title in ("B", "C")]:
        other = Page.objects.get(pk=page.pk)
        shown.see(other, ["title"])
        other.title = title
        other.save()
    assert shown_now(page, all_shown=False) == ["C"] and shown_now(page, all_shown=True) == ["B", "C"]
    other = Page.objects.get(pk=page.pk)
    Versions.read([row_key(Page, page.pk)]).see(other, ["title"])
    other.title = "D"
    other.save()
    assert versions(other, "title") == ["B", "D"]


def shown_now(page, all_shown):
    """Return which titles a form opened now says it was shown, sorted."""
    from sync.values import Values

    key = row_key(Page, page.pk)
    return sorted(Values().value(key, "title", dot) for dot in Versions.read([key], all_shown).rows[key]["title"])


def test_a_block_that_was_edited_elsewhere_is_not_deleted_by_an_old_form():
    """Who deletes has not seen the edit: the block stays, and the deletion is known."""
    page, client = make_page(*texts(2)), person("author")
    form = form_of(client, address(page))
    edited = in_order(page.blocks.all())[0]
    save(client, page, form_of(client, address(page)) | {"richtext-0-html": "<p>edited</p>"})
    save(client, page, form | {"richtext-0-DELETE": "on", "richtext-1-DELETE": "on"})
    assert [block.data for block in page.blocks.all()] == [{"html": "<p>edited</p>"}]
    assert Register.objects.get(token=edited.token).alive


def test_a_moved_block_has_nothing_to_decide():
    """Two who moved one block leave it where the later one put it."""
    page, client = make_page(*texts(3)), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"richtext-0-ordering": "99"})
    save(client, page, old | {"richtext-0-ordering": "25"})
    assert [block.data["html"] for block in in_order(page.blocks.all())] == ["<p>1</p>", "<p>0</p>", "<p>2</p>"]
    assert not Register.objects.filter(siblings=True).exists()


@pytest.mark.parametrize(
    "carried",
    ["", "x", "a:b:c", "\0", "é" * 50, ".eJw:1:x", "9" * (2 << 20), signing.dumps([1, 2], salt=SALT), signing.dumps("x")],
    ids=range(9),
)
def test_versions_that_nobody_signed_do_no_harm(carried):
    """A form without true versions is saved by the values that it was loaded with; the count of its saves may be anything."""
    page, client = make_page(title="A"), person("author")
    form = form_of(client, address(page)) | {"versions": carried, "saves": "-1e9"}
    retitle(page, "B")
    save(client, page, form | {"title": "C", "summary": "s"})
    assert versions(Page.objects.get(), "title") == ["B", "C"]
    assert Page.objects.get().summary == "s"


def test_versions_of_another_page_do_no_harm():
    """Signed versions that speak of other rows say nothing about these."""
    page, other, client = make_page(title="A"), make_page(title="Z"), person("author")
    form = form_of(client, address(page)) | {"versions": form_of(client, address(other))["versions"]}
    retitle(page, "B")
    save(client, page, form | {"title": "C"})
    assert versions(Page.objects.get(pk=page.pk), "title") == ["B", "C"]


def test_writes_that_this_replica_does_not_hold_are_not_named():
    """A form from before a restore names what is here no more: it is as if that had never been shown."""
    page = make_page(title="A")
    shown = Versions.read([row_key(Page, page.pk)])
    shown.rows[row_key(Page, page.pk)]["title"] = (b"x" * 16,)
    other = Page.objects.get(pk=page.pk)
    shown.see(other, ["title"])
    other.title = "C"
    other.save()
    assert versions(other, "title") == ["A", "C"]
    [*_, (_, last)] = log.scan()
    assert b"x" * 16 not in last.refs()


def test_a_write_is_later_than_the_clock_of_its_form_within_the_drift():
    """A clock that was put back by a restore does not make what is written older than what was shown; a false one counts not."""
    page = make_page(title="A")
    future = timezone.now() + datetime.timedelta(seconds=100)
    Local.objects.update(clock_ms=int(future.timestamp() * 1000))
    shown = Versions.read([row_key(Page, page.pk)])
    Local.objects.update(clock_ms=0)
    for title, ahead in (("B", True), ("C", False)):
        if not ahead:
            shown.clock = shown.clock._replace(ms=shown.clock.ms + 10_000_000)
            Local.objects.update(clock_ms=0)
        other = Page.objects.get(pk=page.pk)
        shown.see(other, ["title"])
        other.title = title
        other.save()
        [*_, (_, last)] = log.scan()
        assert (last.head.clock[0] >= int(future.timestamp() * 1000)) is ahead


# -- one form is one session ----------------------------------------------------------------------


def test_a_form_that_is_sent_twice_changes_once():
    """A double click: the second one finds nothing to change."""
    page, client = make_page(*texts(1)), person("editor")
    form = form_of(client, address(page)) | {"title": "Mine", "richtext-0-html": "<p>mine</p>"}
    save(client, page, form)
    before = changesets()
    save(client, page, form)
    assert changesets() == before


def test_back_and_save_again_is_no_conflict_with_oneself():
    """The same form, changed further and saved again, takes the place of what it saved before."""
    page, client = make_page(*texts(1)), person("author")
    form = form_of(client, address(page))
    for count, word in enumerate(("one", "two", "three"), start=1):
        save(client, page, form | {"title": word, "richtext-0-html": f"<p>{word}</p>", "saves": str(count)})
    assert versions(Page.objects.get(), "title") == ["three"]
    assert versions(Block.objects.get(), "data/html") == ["<p>three</p>"]


def test_what_others_wrote_between_two_saves_of_one_form_is_kept():
    """A session has seen its own writes and nobody else's."""
    page, client = make_page(title="A"), person("author")
    form = form_of(client, address(page))
    save(client, page, form | {"title": "Mine", "saves": "1"})
    save(client, page, form_of(client, address(page)) | {"title": "Theirs"})
    save(client, page, form | {"title": "Mine again", "saves": "2"})
    assert versions(Page.objects.get(), "title") == ["Mine again", "Theirs"]


def test_of_two_saves_in_flight_the_later_one_wins_whichever_arrives_first():
    """The first save of a form overtaken by its second takes nothing back; what only the first changed is stored."""
    page, client = make_page(*texts(1)), person("author")
    form = form_of(client, address(page))
    save(client, page, form | {"title": "second", "richtext-0-html": "<p>second</p>", "saves": "2"})
    save(client, page, form | {"title": "first", "richtext-0-html": "<p>first</p>", "summary": "first", "saves": "1"})
    page = Page.objects.get()
    assert (page.title, page.summary) == ("second", "first")
    assert Block.objects.get().data == {"html": "<p>second</p>"}
    assert versions(page, "title") == ["second"]


def test_a_new_block_is_made_once_however_often_its_form_is_sent():
    """Back and save again changes the block that the form made, wherever it stands by now; others' blocks stay in their order."""
    page, client = make_page(*texts(2)), person("author")
    form = form_of(client, address(page))
    prefix = add_block(form, "quote", html="<p>said</p>")
    save(client, page, form)
    save(client, page, form_of(client, address(page)) | {"richtext-0-ordering": "25"})
    save(client, page, form | {f"{prefix}attribution": "Ada", "saves": "2"})
    quote = Block.objects.get(type="quote")
    assert quote.data == {"html": "<p>said</p>", "attribution": "Ada"}
    assert [block.data.get("html", "") for block in in_order(page.blocks.all())] == ["<p>1</p>", "<p>0</p>", "<p>said</p>"]
    assert not Register.objects.filter(siblings=True).exists()


def test_new_blocks_keep_their_names_when_one_before_them_is_taken_away():
    """The scripts name new blocks, since their numbers change."""
    page, client = make_page(), person("author")
    form, again = form_of(client, address(page)), form_of(client, address(page))
    again["versions"] = form["versions"]
    for name in ("+a", "+b"):
        add_block(form, "quote", html=f"<p>{name}</p>", token=name)
    save(client, page, form)
    add_block(again, "quote", html="<p>b</p>", token="+b")
    save(client, page, again | {"saves": "2"})
    assert sorted(block.data["html"] for block in page.blocks.all()) == ["<p>+a</p>", "<p>b</p>"]


def test_a_new_block_that_was_deleted_since_does_not_rise_from_its_old_form():
    """The form comes back and says so, with what was typed in it."""
    page, client = make_page(), person("author")
    form = form_of(client, address(page))
    add_block(form, "quote", html="<p>said</p>")
    save(client, page, form)
    Block.objects.get().delete()
    answer = sent(client, address(page), form | {"title": "typed"})
    assert "deleted elsewhere" in answer and "typed" in answer
    assert not Block.objects.exists() and Page.objects.get().title == "Example page"


def test_a_new_page_is_made_once_however_often_its_form_is_sent():
    """Two clicks on save make one page; back and save again changes it."""
    make_page()
    client = person("editor")
    form = form_of(client, ADD) | {"title": "Fresh"}
    add_block(form, "richtext", html="<p>hello</p>")
    for title, count in (("Fresh", "1"), ("Fresh", "1"), ("Fresher", "2")):
        sent(client, ADD, form | {"title": title, "saves": count})
    page = Page.objects.exclude(title="Example page").get()
    assert page.title == "Fresher" and page.blocks.count() == 1
    assert not Register.objects.filter(siblings=True).exists()


def test_two_saves_of_a_new_page_at_the_same_moment_make_one_page():
    """Two requests that are answered side by side follow each other, and the second one finds what the first has made."""
    make_page()
    client = person("editor")
    form = form_of(client, ADD) | {"title": "Fresh", "_save": ""}
    add_block(form, "richtext", html="<p>hello</p>")
    both, answers = threading.Barrier(2, timeout=30), []

    def click():
        try:
            both.wait()
            answers.append(client.post(ADD, form).status_code)
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert answers == [302, 302]
    assert Page.objects.get(title="Fresh").blocks.count() == 1 and changesets_of(Page.objects.get(title="Fresh")) == 1


def changesets_of(row):
    """Return how many changesets wrote to ``row``."""
    return sum(any(op.token == row.pk for op in changeset.head.ops) for _, changeset in log.scan())


def test_a_new_page_that_was_deleted_since_does_not_rise_from_its_old_form():
    """The form for a new page says that its page was deleted, and keeps what was typed."""
    make_page()
    client = person("editor")
    form = form_of(client, ADD) | {"title": "Fresh"}
    sent(client, ADD, form)
    Page.objects.get(title="Fresh").delete()
    assert "deleted since" in sent(client, ADD, form)
    assert not Page.objects.filter(title="Fresh").exists()


def test_a_session_is_remembered_for_a_day():
    """What was written the day before yesterday is forgotten by the next save of any form."""
    page, client = make_page(), person("author")
    save(client, page, form_of(client, address(page)) | {"title": "Old"})
    Written.objects.update(made=timezone.now() - datetime.timedelta(days=2))
    save(client, page, form_of(client, address(page)) | {"title": "New"})
    assert Written.objects.count() == 1


def test_a_form_that_comes_back_with_a_mistake_is_still_the_same_session():
    """Versions and name of the session are in the form that shows the mistake."""
    page, client = make_page(title="A"), person("author")
    form = form_of(client, address(page)) | {"title": ""}
    answer = client.post(address(page), form | {"_save": ""})
    assert answer.context["errors"]
    assert form["versions"] in answer.content.decode()


def test_what_a_form_had_seen_is_forgotten_with_its_transaction():
    """A form that changed nothing leaves nothing behind for the next write of the same process."""
    page, client = make_page(*texts(1)), person("author")
    form = form_of(client, address(page))
    for html in ("<p>B</p>", "<p>C</p>"):
        block = Block.objects.get()
        block.data = {"html": html}
        block.save()
        save(client, page, form)
    assert versions(block, "data/html") == ["<p>C</p>"]
    assert not Written.objects.exists()


# -- rows that stand by themselves, and deletions -------------------------------------------------


def section_form(client, section):
    """Open the form of ``section`` and return it as a browser would send it back untouched."""
    return form_of(client, f"/admin/content/section/{section.pk}/change/", "section_form")


def test_a_section_is_not_taken_back_by_an_old_form():
    """Two tabs on one section: what one changed stays, and the same field changed by both is kept twice."""
    section, client = make_page().section, person("editor")
    where = f"/admin/content/section/{section.pk}/change/"
    old = section_form(client, section)
    sent(client, where, section_form(client, section) | {"title": "Theirs", "description": "theirs"})
    sent(client, where, old | {"description": "mine", "ordering": "3"})
    section.refresh_from_db()
    assert (section.title, section.description, section.ordering) == ("Theirs", "mine", 3)
    assert versions(section, "description") == ["mine", "theirs"]
    assert versions(section, "title") == ["Theirs"]


def test_a_new_section_is_made_once_however_often_its_form_is_sent():
    """A double click makes one section, the way back and another save changes it."""
    client = person("editor")
    form = form_of(client, "/admin/content/section/add/", "section_form")
    for title, count in (("Sea", "1"), ("Sea", "1"), ("Seas", "2")):
        sent(client, "/admin/content/section/add/", form | {"title": title, "ordering": "0", "saves": count})
    assert versions(Section.objects.get(), "title") == ["Seas"]


def test_an_old_list_of_sections_takes_no_place_back():
    """The list in which places are edited sends every row; only those that were changed in it are written."""
    first, client = make_page().section, person("editor")
    second = Section.objects.create(title="Sea")
    form = form_of(client, "/admin/content/section/", "changelist-form")
    Section.objects.filter(pk=first.pk).update(ordering=7)
    rows = {form[f"form-{n}-token"]: n for n in range(2)}
    sent(client, "/admin/content/section/", form | {f"form-{rows[second.pk]}-ordering": "5"})
    assert dict(Section.objects.values_list("pk", "ordering")) == {first.pk: 7, second.pk: 5}


@pytest.mark.parametrize("what", ["page", "section"])
def test_a_version_that_came_while_the_question_was_open_is_not_deleted_unseen(what):
    """Also one that is not shown, because it is older than the one that is: the question comes again, and names both."""
    page, client = make_page(title="Sea"), person("administrator")
    row = page if what == "page" else Section.objects.create(title="Bay")
    where = address(page) + "/delete" if what == "page" else f"/admin/content/section/{row.pk}/delete/"
    row.title = "Mine"
    moment, heads = next_moment(), registers(row).row.heads["title"]
    next_moment()
    row.save()
    question = form_of(client, where, None)
    older = edge().make(
        Op(row_key(type(row), row.pk).model, row.pk, [Write("title", None, "Theirs", [0])]), refs=heads, ms=moment
    )
    arrive(older)
    again = sent(client, where, question)
    assert "changed while the question was open" in again
    assert "Several versions" in again and "“Mine”" in again and "“Theirs”" in again
    assert type(row).objects.filter(pk=row.pk).exists()


def test_deleting_a_page_that_has_several_versions_leaves_nothing_to_decide():
    """The question names them, of the page and of its blocks; then the inbox is empty, and an old form of it goes back there."""
    page, client = make_page(*texts(1), title="Sea"), person("administrator")
    one = edge()
    dispute(one, page, "title", "Mine", "Theirs")
    dispute(one, page.blocks.get(), "data/html", "<p>Here</p>", "<p>There</p>")
    found = conflicts.find("content.page", page.pk, "title")
    where = address(page) + "/delete"
    question = client.get(where).content.decode()
    assert all(f"“{text}”" in question for text in ("Mine", "Theirs", "Here", "There"))
    sent(client, where, fields_of(question, None))
    assert not Page.objects.exists() and conflicts.count() == 0
    inbox = client.get("/admin/sync/conflict/").content.decode()
    assert "There are no conflicts" in inbox and page.pk not in inbox
    old = f"/admin/sync/conflict/content.page/{page.pk}/?field=title"
    late = client.post(old, {"seen": " ".join(found.seen), "decision": f"take:{found.versions[0].dot}"}, follow=True)
    assert "Somebody has decided this meanwhile" in late.content.decode()


def test_what_was_changed_while_the_question_was_open_is_not_deleted_unseen():
    """Whoever confirms a deletion is asked again when the page has changed: a word in it, or a block that was added."""
    page, client = make_page(*texts(1)), person("administrator")
    where = address(page) + "/delete"
    question = form_of(client, where, None)
    Block.objects.create(parent=page, type="quote", data={"html": "<p>new</p>"}, ordering="z")
    assert "changed while the question was open" in sent(client, where, question)
    assert Page.objects.exists()
    sent(client, where, form_of(client, where, None))
    assert not Page.objects.exists() and not Block.objects.exists()

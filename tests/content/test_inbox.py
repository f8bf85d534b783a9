"""Promises of the inbox of conflicts: everything needed to decide is shown, one click decides, and it can be taken back."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from content.models import Block, Page, Section
from content.publishing import publish
from sync import conflicts
from sync.core.changeset import Op, Write
from sync.models import Contact, Entry
from sync.versions import row_key
from tests.content.disputes import delete_elsewhere, dispute, edge, next_moment, registers
from tests.content.editing import address, form_of, make_page, person, texts
from tests.content.test_editor_old_forms import versions
from tests.sync.origins import arrive, assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits
INBOX = "/admin/sync/conflict/"


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    yield
    assert_rows_follow_from_log()


@pytest.fixture
def disputed():
    """A page of which "mira" changed the title here, and "ada" elsewhere."""
    made = make_page(*texts(1), title="From the harbour")
    dispute(edge(), made, "title", "From the old harbour", "From the new harbour")
    return made


def where(row, field=None):
    """Return where the conflict of ``row`` is decided."""
    return f"{INBOX}{row._meta.label_lower}/{row.pk}/" + (f"?field={field}" if field else "")


def decide(client, row, field, decision, **values):
    """Press one of the buttons and return what is shown then."""
    found = conflicts.find(row._meta.concrete_model._meta.label_lower, row.pk, field)
    seen = " ".join(found.seen) if found else ""
    return client.post(where(row, field), {"seen": seen, "decision": decision, **values}, follow=True)


def others(row, field):
    """Return the dot of the version that is not shown."""
    return conflicts.find(row._meta.label_lower, row.pk, field).others[0].dot


def count():
    """Return how many changesets there are."""
    return Entry.objects.count()


# -- what is shown --------------------------------------------------------------------------------


def test_the_inbox_says_who_wrote_what_where_and_when(disputed):
    """Both sides, with what each did to the base, in the list and by itself; the way to the editor."""
    client = person("author")
    listed, shown = client.get(INBOX).content.decode(), client.get(where(disputed, "title")).content.decode()
    for html in (listed, shown):
        for text in ("mira", "MASTER01-LON", "ada", "EDGE01-LON", "<ins>old</ins>", "<ins>new</ins>", "<time datetime="):
            assert text in html, text
    assert "From the harbour</p>" in shown and f'href="{address(disputed)}"' in shown
    assert "Title" in listed and where(disputed, "title") in listed


def test_an_empty_inbox_says_so():
    """Nothing to decide is no empty page."""
    make_page(*texts(1))
    assert "There are no conflicts" in person("author").get(INBOX).content.decode()


def test_nothing_that_somebody_wrote_is_markup_here():
    """Names, titles and values of others are text, in every view."""
    evil = "<script>alert(1)</script>"
    page, client = make_page(("richtext", {"html": "<p>a</p>"}), title=evil), person("author")
    one = edge()
    dispute(one, page, "title", f"{evil}1", f"{evil}2")
    dispute(one, page.blocks.get(), "data/html", "<p>&lt;b&gt;x</p>", f"<p>{evil}<img src=x onerror=alert(1)></p>")
    for answer in (client.get(INBOX), client.get(where(page, "title")), client.get(where(page.blocks.get(), "data/html")),
                   client.get(address(page)), decide(client, page, "title", f"take:{others(page, 'title')}")):  # fmt: skip
        html = answer.content.decode()
        assert evil not in html and "<img src=x" not in html and "<b>x" not in html
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in policy and " style=" not in html and " onclick=" not in html


def test_a_reference_is_shown_by_the_name_of_what_it_leads_to():
    """Two sections are two titles, not two keys; one that has not come yet is said to be missing."""
    page, sea = make_page(title="A"), Section.objects.create(title="The sea")
    absent = "EDGE01-LON-00AA-00000000-010126000000"
    dispute(edge(), page, "section_id", sea.pk, absent)
    html = person("author").get(where(page, "section_id")).content.decode()
    assert "The sea" in html and "News" in html and f"{absent} (not here yet)" in html


def test_paragraphs_that_are_alike_are_left_out():
    """Of a long text only what differs is shown, and what stands next to it."""
    text = "".join(f"<p>Paragraph {number}.</p>" for number in range(9))
    page = make_page(("richtext", {"html": text}))
    block = page.blocks.get()
    dispute(edge(), block, "data/html", text.replace("4.", "four."), text.replace("4.", "IV."))
    html = person("author").get(where(block, "data/html")).content.decode()
    assert html.count("3 paragraphs alike") == 4 and "<ins>IV</ins>" in html and "<del>4</del>" in html


def test_the_inbox_reads_each_changeset_once_and_all_else_at_once():
    """Rows, titles, authors and what they overwrote are read for many conflicts as for few, but for one read of each changeset."""
    client, one, counts = person("author"), edge(), []
    for number in (3, 25):
        for place in range(number):
            page = make_page(title=f"{number} {place}")
            block = Block.objects.create(parent=page, type="quote", data={"attribution": "a"}, ordering="V")
            dispute(one, block, "data/attribution", f"b{place}", f"c{place}")
        with CaptureQueriesContext(connection) as captured:
            html = client.get(INBOX).content.decode()
        counts.append(len(captured))
    assert counts[1] - counts[0] <= 3 * (28 - 3)  # of each conflict two sides, and the base
    assert html.count('class="card"') == 20 and "?p=2" in html
    assert client.get(f"{INBOX}?p=2").content.decode().count('class="card"') == 8
    assert client.get(f"{INBOX}?p=99").status_code == client.get(f"{INBOX}?p=x").status_code == 200


def test_what_a_newer_release_wrote_is_mentioned_and_not_offered():
    """Rows of a model that is not known here are counted with their model's name."""
    one, token = edge(), "EDGE01-LON-00AA-00000000-010126000000"
    for value in ("a", "b"):
        arrive(one.make(Op("content.poll", token, [Write("question", None, value, [])])))
    html = person("author").get(INBOX).content.decode()
    assert "1 rows of <code>content.poll</code>" in html
    assert person("author").get(f"{INBOX}content.poll/{token}/?field=question").status_code == 403


# -- deciding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("which, title", [("others", "From the new harbour"), ("shown", "From the old harbour")])
def test_one_click_takes_a_version(disputed, which, title):
    """The version stands, the conflict is closed by one write over both, and the way back is shown."""
    client, found = person("author"), conflicts.find("content.page", disputed.pk, "title")
    dot = found.others[0].dot if which == "others" else found.shown.dot
    html = decide(client, disputed, "title", f"take:{dot}").content.decode()
    assert "Decided." in html and "There are no conflicts" in html
    assert versions(Page.objects.get(), "title") == [title]
    assert Page.objects.get().title == title


def test_another_version_is_written_in_the_field_of_the_editor():
    """What is written takes the place of both, cleaned like everything that is written in the editor."""
    page, client = make_page(("richtext", {"html": "<p>a</p>"})), person("author")
    block = page.blocks.get()
    dispute(edge(), block, "data/html", "<p>b</p>", "<p>c</p>")
    form = form_of(client, where(block, "data/html"), "edit_form")
    assert form["value"] == "<p>b</p>"
    form |= {"value": "<p>b and c</p><script>x()</script>", "decision": "write"}
    assert "Decided." in client.post(where(block, "data/html"), form, follow=True).content.decode()
    assert versions(block, "data/html") == ["<p>b and c</p>"]


def test_a_version_that_the_field_does_not_take_comes_back(disputed):
    """The mistake is named, what was typed is kept, and nothing is written."""
    before, client = count(), person("author")
    for typed in ("", "x" * 201):
        html = decide(client, disputed, "title", "write", value=typed).content.decode()
        assert "errorlist" in html and f">\n{typed}</textarea>" in html
    assert count() == before


def test_a_date_and_a_list_are_written_as_the_editor_shows_them():
    """Fields other than text keep their type."""
    page, client, one = make_page(title="A"), person("author"), edge()
    dispute(one, page, "authors", ["Bo"], ["Cy"])
    decide(client, page, "authors", "write", value="Bo, Cy")
    page.refresh_from_db()
    dispute(one, page, "date", page.date.replace(year=2020), "2021-01-01T00:00:00+00:00")
    decide(client, page, "date", "write", value="2022-02-02T02:02")
    page.refresh_from_db()
    assert page.authors == ["Bo", "Cy"] and page.date.isoformat() == "2022-02-02T02:02:00+00:00"
    assert conflicts.count() == 0


def test_a_block_that_was_deleted_and_changed_is_kept_or_deleted():
    """The deletion and what was written unseen stand side by side; either may win."""
    page, client, one = make_page(*texts(2)), person("author"), edge()
    for block, decision in zip(page.blocks.all(), ("keep", "delete"), strict=True):

        def edit(block=block):
            block.data = {"html": "<p>edited</p>"}
            block.save()

        delete_elsewhere(one, block, edit)
        html = client.get(where(block)).content.decode()
        assert "deleted by" in html and "Text:" in html and '<p class="whole">edited</p>' in html
        decide(client, block, None, decision)
        assert Block.objects.filter(pk=block.pk).exists() == (decision == "keep")
    assert conflicts.count() == 0


def test_a_decision_is_taken_back(disputed):
    """The conflict is open again with all its versions, and can be decided otherwise."""
    client = person("author")
    decide(client, disputed, "title", f"take:{others(disputed, 'title')}")
    html = client.get(f"{INBOX}decided/").content.decode()
    assert "From the new harbour" in html and "Take it back" in html
    forms = form_of(client, f"{INBOX}decided/", None)
    answer = client.post(f"{INBOX}decided/", forms, follow=True)
    assert "open again" in answer.content.decode() and answer.redirect_chain[-1][0] == where(disputed, "title")
    assert versions(Page.objects.get(), "title") == ["From the new harbour", "From the old harbour"]
    again = client.post(f"{INBOX}decided/", forms, follow=True)
    assert "nothing was written" in again.content.decode()


def test_what_was_decided_meanwhile_is_not_decided_again(disputed):
    """The second of two who decide is told, and writes nothing."""
    client, found = person("author"), conflicts.find("content.page", disputed.pk, "title")
    late = {"seen": " ".join(found.seen), "decision": f"take:{found.others[0].dot}"}
    decide(client, disputed, "title", f"take:{found.shown.dot}")
    before = count()
    html = client.post(where(disputed, "title"), late, follow=True).content.decode()
    assert "nothing was written" in html and count() == before
    assert Page.objects.get().title == "From the old harbour"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"decision": "take:"},
        {"decision": "take:zz", "seen": "zz"},
        {"decision": "take:" + "0" * 32, "seen": "0" * 32},
        {"decision": "write", "value": "x"},
        {"decision": "keep", "seen": "\0"},
        {"decision": "erase"},
    ],
    ids=range(7),
)
def test_nonsense_decides_nothing(disputed, data):
    """Whatever is sent instead of a decision changes nothing and is no error of the server."""
    before = count()
    assert person("author").post(where(disputed, "title"), data, follow=True).status_code == 200
    assert count() == before


@pytest.mark.parametrize(
    "tail", ["content.page/nothing/", "content.nothing/x/", "x/y/", "content.page/x/?field=nothing", "auth.user/1/"]
)
def test_what_is_no_conflict_is_no_error(tail):
    """An old bookmark, and addresses that somebody made up, lead back to the inbox or are refused."""
    assert person("author").get(INBOX + tail, follow=True).status_code in (200, 403)


# -- who ------------------------------------------------------------------------------------------


def test_conflicts_are_for_who_may_change_what_they_are_about(disputed):
    """Strangers log in first; staff without permission see no door and no conflict."""
    assert Client().get(INBOX).status_code == 302
    nobody = person("author")
    nobody.get("/admin/").context["user"].groups.clear()
    for answer in (nobody.get(INBOX), nobody.get(where(disputed, "title")), decide(nobody, disputed, "title", "take:x")):
        assert answer.status_code == 403
    assert INBOX not in nobody.get("/admin/").content.decode()
    assert INBOX in person("editor").get("/admin/").content.decode()
    assert conflicts.count() == 1


def test_only_who_publishes_decides_what_is_published():
    """An author sees two publications of one page, and chooses none."""
    page = make_page(title="A")
    first, second = publish(page), publish(page)
    dispute(edge(), page, "publication_id", first.pk, second.pk)
    dot = others(page, "publication_id")
    assert "not decide it" in person("author").get(where(page, "publication_id")).content.decode()
    assert decide(person("author"), page, "publication_id", f"take:{dot}").status_code == 403
    assert decide(person("editor"), page, "publication_id", f"take:{dot}").status_code == 200
    assert conflicts.count() == 0


def test_only_who_may_delete_a_page_deletes_it_here():
    """An author may keep a page that was deleted elsewhere, an editor may let it go."""
    page = make_page(*texts(1), title="A")

    def edit():
        page.title = "B"
        page.save()

    delete_elsewhere(edge(), page, edit)
    assert decide(person("author"), page, None, "delete").status_code == 403
    assert "Delete it" not in person("author").get(where(page)).content.decode()
    assert decide(person("editor"), page, None, "delete").status_code == 200
    assert not Page.objects.exists()


def test_the_board_shows_the_state_of_replication(disputed):
    """What ``sync_status`` says, for who may see it."""
    html = person("administrator").get(reverse("admin:sync_board_changelist")).content.decode()
    assert "EDGE01-LON" in html and "MASTER01-LON" in html and "quarantined" in html
    assert person("editor").get(reverse("admin:sync_board_changelist")).status_code == 403


def test_the_board_tells_times_with_their_zone_and_all_that_waits(disputed):
    """When a peer was last heard of, in UTC; orphans and values missing stand beside the other figures."""
    trusted = Contact.objects.create(name="EDGE01-LON", last_contact=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    trusted.error = {"code": "down", "detail": "It does not answer."}
    trusted.save()
    html = person("administrator").get(reverse("admin:sync_board_changelist")).content.decode()
    assert "2 Jan 2026, 03:04:05 UTC</time>" in html and "orphans" in html and "values missing" in html
    assert '<span class="error narrow">It does not answer.</span></th>' in html


@pytest.mark.parametrize("field, mine, theirs", [("title", "B", "C"), ("data/html", "<p>x</p>", "<p>y</p>")])
def test_whoever_decides_about_a_published_page_hears_when_readers_see_it(field, mine, theirs):
    """Of the page or a block of it: when it is published. A page that is not public needs no such word."""
    one = edge()
    for is_public in (True, False):
        page, client = make_page(*texts(1), title="A"), person("editor")
        if is_public:
            publish(page)
        row = page if field == "title" else page.blocks.get()
        dispute(one, row, field, mine, theirs)
        html = decide(client, row, field, f"take:{others(row, field)}").content.decode()
        assert ("Decided. Readers see it when the page is published. <a" in html) is is_public


def test_a_decision_that_comes_too_late_is_told_once(disputed):
    """One sentence, not two that contradict each other."""
    client, found = person("author"), conflicts.find("content.page", disputed.pk, "title")
    late = {"seen": " ".join(found.seen), "decision": f"take:{found.others[0].dot}"}
    decide(client, disputed, "title", f"take:{found.shown.dot}")
    html = client.post(where(disputed, "title"), late, follow=True).content.decode()
    assert "Somebody has decided this meanwhile; nothing was written." in html
    assert "no longer one" not in html and "how it stands now" not in html


def test_what_a_page_shows_to_readers_is_called_so():
    """The register that names the publication bears no name of a column."""
    page = make_page(title="A")
    first, second = publish(page), publish(page)
    dispute(edge(), page, "publication_id", first.pk, second.pk)
    assert "What readers see: 2 versions" in person("editor").get(where(page, "publication_id")).content.decode()


def test_a_page_that_is_kept_is_kept_with_its_blocks():
    """One deletion took page and block, both were written to unseen: one answer is for both, and can be taken back for both."""
    page, client = make_page(*texts(2), title="A"), person("editor")
    block, calm = page.blocks.all()
    delete_page_elsewhere(edge(), page, block, calm)
    assert {found.token for found in conflicts.conflicts()} == {page.pk, block.pk}
    decide(client, page, None, "keep")
    assert conflicts.count() == 0
    form = form_of(client, f"{INBOX}decided/", None)
    client.post(f"{INBOX}decided/", form | {"model": "content.page", "token": page.pk})
    assert {found.token for found in conflicts.conflicts()} == {page.pk, block.pk}
    assert Block.objects.filter(pk=block.pk).exists()


def delete_page_elsewhere(origin, page, block, calm):
    """Let "ada" delete ``page`` with both blocks at ``origin``, who had not seen what is written here to it and ``block``."""
    rows, refs, moment = [page, block, calm], [], next_moment()
    for row in rows:
        refs += [dot for dot in registers(row).row.dots() if dot not in refs]
    seen = [[refs.index(dot) for dot in registers(row).row.dots()] for row in rows]
    next_moment()
    page.title, block.data = "B", {"html": "<p>edited</p>"}
    page.save()
    block.save()
    ops = [Op(row_key(type(row), row.pk).model, row.pk, [], each) for row, each in zip(rows, seen, strict=True)]
    arrive(origin.make(*ops, refs=refs, ms=moment))

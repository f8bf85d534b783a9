"""Promises of the page's editor about conflicts: each is shown at its field, and can be decided there."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from content.models import Block, Page
from content.publishing import in_order
from sync import conflicts
from tests.content.disputes import delete_elsewhere, dispute, edge
from tests.content.editing import LIST, address, form_of, make_page, person, save, texts
from tests.content.test_editor_old_forms import versions
from tests.sync.origins import assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    yield
    assert_rows_follow_from_log()


@pytest.fixture
def disputed():
    """A page whose title and whose second block's words were changed here by "mira", elsewhere by "ada"."""
    made, one = make_page(*texts(1), ("quote", {"html": "<p>calm</p>", "attribution": "T"}), title="The harbour"), edge()
    dispute(one, made, "title", "The old harbour", "The new harbour")
    dispute(one, made.blocks.get(type="quote"), "data/html", "<p>calm sea</p>", "<p>calm water</p>")
    return made


def notice(client, page, label):
    """Return the notice about ``label`` in the editor, its HTML."""
    html = client.get(address(page)).content.decode()
    return html.split(f"versions of {label}")[1].split('<div class="conflict-note"')[0]


def choice(row, field):
    """Return the name of the inputs of a notice."""
    return f"conflict:{row._meta.concrete_model._meta.label_lower}:{row.pk}:{field or ''}"


def quote_of(page):
    """Return the quote."""
    return Block.objects.get(parent=page, type="quote")


def other(row, field):
    """Return the dot of the version that is not shown."""
    return conflicts.find(row._meta.label_lower, row.pk, field).others[0].dot


def test_a_field_with_a_conflict_says_who_wrote_what(disputed):
    """At the field: both authors, where and when, what the other did to the base, and the way to the inbox."""
    client = person("author")
    for label, difference in (("Title", "<ins>new</ins>"), ("Quotation", "<ins>water</ins>")):
        html = notice(client, disputed, label)
        for text in ("mira", "MASTER01-LON", "ada", "EDGE01-LON", "<time datetime=", difference, "/admin/sync/conflict/"):
            assert text in html, (label, text)
    html = client.get(address(disputed)).content.decode()
    assert "2 places with several versions" in html
    for anchor in re.findall(r'href="#(notice-[^"]+)"', html):
        assert f'id="{anchor}"' in html


def test_an_old_form_that_is_saved_shows_both_versions_at_once():
    """The answer to the save has the notice, with what the other tab wrote; what was typed is in the field."""
    page, client = make_page(title="A"), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"title": "Theirs"})
    answer = client.post(address(page), old | {"title": "Mine", "_save": ""}, follow=True)
    html = answer.content.decode()
    assert "2 versions of Title" in html and "<ins>Theirs</ins>" in html
    assert form_of(client, address(page))["title"] == "Mine"


@pytest.mark.parametrize("which, title", [("other", "The new harbour"), ("shown", "The old harbour")])
def test_a_version_is_chosen_at_the_field(disputed, which, title):
    """Taking the other one, or keeping one's own, counts when the page is saved, and closes the conflict."""
    client, found = person("author"), conflicts.find("content.page", disputed.pk, "title")
    dot = other(disputed, "title") if which == "other" else found.shown.dot
    before = Page.objects.get().updated
    answer = client.post(
        address(disputed), form_of(client, address(disputed)) | {choice(disputed, "title"): dot, "_save": ""}, follow=True
    )
    assert "Decided." in answer.content.decode() and "Saved." in answer.content.decode()
    page = Page.objects.get()
    assert (page.title, versions(page, "title")) == (title, [title])
    assert page.updated > before and conflicts.count() == 1


def test_a_version_of_a_block_is_chosen_and_published_at_once(disputed):
    """One click on publish takes the chosen version to the readers."""
    client, quote = person("editor"), quote_of(disputed)
    form = form_of(client, address(disputed)) | {choice(quote, "data/html"): other(quote, "data/html")}
    save(client, disputed, form, "_publish")
    page = Page.objects.get()
    assert [block["data"].get("html") for block in page.publication.data["blocks"]] == ["<p>0</p>", "<p>calm water</p>"]


def test_what_is_written_into_the_field_takes_the_place_of_both(disputed):
    """Both versions were shown, so both are overwritten; a choice beside it counts less than what was typed."""
    client, quote = person("author"), quote_of(disputed)
    form = form_of(client, address(disputed)) | {"title": "Harbours", "quote-0-html": "<p>calm</p><p>both</p>"}
    form[choice(disputed, "title")] = other(disputed, "title")
    answer = client.post(address(disputed), form | {"_save": ""}, follow=True)
    assert "meanwhile" not in answer.content.decode()
    assert versions(Page.objects.get(), "title") == ["Harbours"]
    assert versions(quote, "data/html") == ["<p>calm</p><p>both</p>"]
    assert conflicts.count() == 0


def test_a_save_of_something_else_decides_nothing(disputed):
    """Nobody decides by accident."""
    client = person("author")
    save(client, disputed, form_of(client, address(disputed)) | {"summary": "s"})
    assert conflicts.count() == 2


def test_a_version_that_came_since_is_not_overwritten(disputed):
    """A third version, which the form did not show, stays beside what is written."""
    client = person("author")
    form = form_of(client, address(disputed)) | {"title": "Mine"}
    other_form = form_of(client, address(disputed)) | {"title": "Theirs"}
    save(client, disputed, other_form)
    save(client, disputed, form)
    assert versions(Page.objects.get(), "title") == ["Mine", "Theirs"]


def test_a_choice_is_kept_when_the_form_comes_back_with_a_mistake(disputed):
    """Nothing is written, and the notice still has the choice."""
    client, dot = person("author"), other(disputed, "title")
    form = form_of(client, address(disputed)) | {choice(disputed, "title"): dot, "quote-0-attribution": "x" * 10_000}
    answer = client.post(address(disputed), form | {"section": "", "_save": ""})
    assert answer.context["errors"]
    assert f'value="{dot}" checked' in answer.content.decode()
    assert conflicts.count() == 2


def test_what_was_decided_meanwhile_is_said(disputed):
    """The second of two who choose is told, and the rest of the form is saved."""
    client = person("author")
    old = form_of(client, address(disputed)) | {choice(disputed, "title"): other(disputed, "title"), "summary": "s"}
    save(client, disputed, form_of(client, address(disputed)) | {"title": "Decided"})
    html = client.post(address(disputed), old | {"_save": ""}, follow=True).content.decode()
    page = Page.objects.get()
    assert "decided meanwhile" in html and (page.title, page.summary) == ("Decided", "s")


@pytest.mark.parametrize(
    "name, value",
    [
        ("conflict:", "x"),
        ("conflict:content.page:{token}:title", "zz"),
        ("conflict:content.page:{token}:title", "00" * 16),
        ("conflict:content.page:{token}:", "keep"),
        ("conflict:content.page:{token}:nothing", "00"),
        ("conflict:content.nothing:{token}:title", "00"),
        ("conflict:auth.user:1:username", "00"),
    ],
)
def test_a_made_up_choice_decides_nothing(disputed, name, value):
    """Whatever stands in the form under the names of notices is no error of the server."""
    client = person("author")
    form = form_of(client, address(disputed)) | {name.format(token=disputed.pk): value}
    assert client.post(address(disputed), form | {"_save": ""}).status_code == 302
    assert conflicts.count() == 2


def test_a_block_that_was_deleted_elsewhere_says_so_and_can_be_kept():
    """Two editors, one of whom deleted what the other edited: the block asks."""
    page, client = make_page(*texts(2)), person("author")
    block = in_order(page.blocks.all())[0]

    def edit():
        block.data = {"html": "<p>edited</p>"}
        block.save()

    delete_elsewhere(edge(), block, edit)
    html = client.get(address(page)).content.decode()
    assert "<strong>Deleted</strong> by" in html and "keep it" in html
    save(client, page, form_of(client, address(page)) | {choice(block, None): "keep"})
    assert Block.objects.filter(pk=block.pk).exists() and conflicts.count() == 0


def test_a_block_that_was_deleted_elsewhere_can_be_deleted_here_too():
    """Whoever was shown the edit and the deletion, and deletes, has seen all of it."""
    page, client = make_page(*texts(2)), person("author")
    block = in_order(page.blocks.all())[0]

    def edit():
        block.data = {"html": "<p>edited</p>"}
        block.save()

    delete_elsewhere(edge(), block, edit)
    save(client, page, form_of(client, address(page)) | {"richtext-0-DELETE": "on"})
    assert not Block.objects.filter(pk=block.pk).exists() and conflicts.count() == 0


def test_an_old_form_that_deletes_what_was_edited_shows_the_block_and_asks():
    """The block is still there after the save, with the notice that it was deleted."""
    page, client = make_page(*texts(2)), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"richtext-0-html": "<p>edited</p>"})
    answer = client.post(address(page), old | {"richtext-0-DELETE": "on", "_save": ""}, follow=True)
    assert "<strong>Deleted</strong> by" in answer.content.decode() and "edited" in answer.content.decode()


def test_a_page_that_was_deleted_elsewhere_says_so_above_all():
    """The page lives by an edit that the deletion had not seen, and can be kept from its editor."""
    page, client = make_page(title="A"), person("author")

    def edit():
        page.title = "B"
        page.save()

    delete_elsewhere(edge(), page, edit)
    html = client.get(address(page)).content.decode()
    assert "<strong>Deleted</strong> by" in html.split('class="editor-fields"')[0]
    save(client, page, form_of(client, address(page)) | {choice(page, None): "keep"})
    assert Page.objects.exists() and conflicts.count() == 0


def test_the_list_of_pages_marks_those_with_conflicts(disputed):
    """Conflicts of blocks count for their page; texts that merge are no conflict."""
    client, merging = person("author"), make_page(("richtext", {"html": "<p>a</p><p>b</p>"}), title="Merging")
    dispute(edge(), merging.blocks.get(), "data/html", "<p>a1</p><p>b</p>", "<p>a</p><p>b1</p>")
    found = {page.title: page.__dict__["_has_conflicts"] for page in client.get(LIST).context["cl"].result_list}
    assert found == {"The old harbour": True, "Merging": False}
    assert client.get(LIST).content.decode().count("Several versions") == 1
    form = form_of(client, address(disputed)) | {"title": "Harbours"}
    save(client, disputed, form)
    assert client.get(LIST).content.decode().count("Several versions") == 1  # its block has one still


def test_a_page_without_conflicts_is_opened_with_three_queries_about_replication():
    """The clock, the versions, and what is open: registers that stand alone are not looked into."""
    page, client = make_page(*texts(30)), person("author")
    client.get(address(page))
    with CaptureQueriesContext(connection) as captured:
        client.get(address(page))
    about = [query["sql"] for query in captured.captured_queries if '"sync_' in query["sql"]]
    assert len(about) <= 3


def test_forms_of_other_rows_name_what_has_several_versions():
    """A section says so above its fields, and leads to the inbox and back."""
    section, client = make_page().section, person("editor")
    where = f"/admin/content/section/{section.pk}/change/"
    assert "Several versions" not in client.get(where).content.decode()
    dispute(edge(), section, "title", "Old news", "New news")
    html = client.get(where).content.decode()
    assert "Several versions" in html and f"/admin/sync/conflict/content.section/{section.pk}/?field=title&amp;next=" in html
    form = form_of(client, where, "section_form") | {"title": "News again"}
    client.post(where, form)
    assert versions(section, "title") == ["New news", "News again"]  # only one of the two was shown


def test_a_move_keeps_no_block_that_was_deleted_elsewhere():
    """Who moves a block has not written anything into it: it goes, and nobody is asked."""
    page, client = make_page(*texts(3)), person("author")
    block = in_order(page.blocks.all())[0]
    form = form_of(client, address(page)) | {"richtext-0-ordering": "99"}
    delete_elsewhere(edge(), block, lambda: save(client, page, form))
    assert not Block.objects.filter(pk=block.pk).exists() and conflicts.count() == 0


def test_a_field_without_a_label_is_named_by_its_block():
    """Two who changed the same words are told that it is a text that both changed."""
    page, client = make_page(*texts(1)), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"richtext-0-html": "<p>theirs</p>"})
    response = client.post(address(page), old | {"title": "Mine", "richtext-0-html": "<p>mine</p>", "_save": ""}, follow=True)
    assert "Meanwhile changed elsewhere too: Text. What" in response.content.decode()


def test_two_versions_of_one_author_are_told_apart_by_place_or_time():
    """Ada here and Ada there differ by the replica; twice Ada at one place by the time."""
    page, client, one = make_page(title="A"), person("author"), edge()
    dispute(one, page, "title", "B", "C", here="ada")
    assert "take the version of ada at EDGE01-LON</label>" in client.get(address(page)).content.decode()
    old = form_of(client, address(page))
    for title in ("D", "E"):
        save(client, page, (form_of(client, address(page)) if title == "D" else old) | {"seo_title": title})
    told = client.get(address(page)).content.decode()
    assert len(re.findall(r"take the version of author at MASTER01-LON, \d\d:\d\d:\d\d UTC</label>", told)) == 1

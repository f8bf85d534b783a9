"""Promises of a form whose row was deleted while somebody wrote: nothing that was typed is lost."""

import pytest

from content.models import Page, Section
from tests.content.editing import add_block, address, fields_of, form_of, make_page, person, texts

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits


def lost():
    """Type into the form of a page that is deleted meanwhile; return the browser, the answer, and the form for a new page."""
    page, client = make_page(*texts(2), ("quote", {"html": "<p>said</p>"}), title="Old"), person("author")
    form = form_of(client, address(page)) | {"title": "Typed <b>title</b>", "summary": "Typed summary"}
    form |= {"richtext-0-html": "<p>Typed <em>words</em> &amp; more</p>", "richtext-1-DELETE": "on"}
    add_block(form, "code", code="x = '</textarea>'", token="+new")
    page.delete()
    answer = client.post(address(page), form | {"_save": ""})
    return client, answer, fields_of(answer.content.decode(), "new_form")


def test_a_page_that_was_deleted_meanwhile_gives_back_what_was_typed():
    """The answer says what happened and shows every text, as text; nothing is written."""
    _, answer, _ = lost()
    html = answer.content.decode()
    assert answer.status_code == 410 and "no-store" in answer.headers["Cache-Control"]
    assert "This page was deleted meanwhile" in html and "Nothing was stored" in html
    for text in (
        "Typed &lt;b&gt;title&lt;/b&gt;</dd>",
        "Typed summary</dd>",
        "<dt>Text</dt><dd>Typed words &amp; more</dd>",
        "<dt>Quote: Quotation</dt><dd>said</dd>",
        "x = &#x27;&lt;/textarea&gt;&#x27;</dd>",
    ):
        assert text in html, text
    assert "<b>title" not in html and not Page.objects.exists()


def test_a_new_page_is_made_of_what_was_typed_into_a_deleted_one():
    """One click makes it, with its blocks in their order and without the one taken away; another click makes no second one."""
    client, _, form = lost()
    for _ in range(2):
        answer = client.post("/admin/content-editor/page/add", form | {"_save": "1"})
        assert answer.status_code == 302, answer.context["errors"]
    page = Page.objects.get()
    assert (page.title, page.summary, page.tags, page.publication_id) == (
        "Typed <b>title</b>",
        "Typed summary",
        ["a", "b"],
        None,
    )
    assert [(block.type, next(iter(block.data.values()))) for block in page.blocks.order_by("ordering")] == [
        ("richtext", "<p>Typed <em>words</em> &amp; more</p>"),
        ("quote", "<p>said</p>"),
        ("code", "x = '</textarea>'"),
    ]


def test_a_section_that_was_deleted_meanwhile_gives_back_what_was_typed():
    """So it is with every row that replicates."""
    section, client = Section.objects.create(title="Sea"), person("editor")
    where = f"/admin/content/section/{section.pk}/change/"
    form = form_of(client, where, "section_form") | {"description": "Typed words"}
    section.delete()
    answer = client.post(where, form)
    assert answer.status_code == 410 and "<dd>Typed words</dd>" in answer.content.decode()


def test_whoever_may_not_make_a_page_still_has_his_words():
    """They are shown without the button; a stranger is asked to log in, and a reader of nothing is refused."""
    page, client = make_page(title="Old"), person("author")
    form = form_of(client, address(page)) | {"title": "Typed"}
    page.delete()
    group = client.get("/admin/").context["user"].groups.get()
    group.permissions.remove(*group.permissions.filter(codename="add_page"))
    html = client.post(address(page), form).content.decode()
    assert "<dd>Typed</dd>" in html and "new_form" not in html


def test_a_question_whether_to_delete_what_is_gone_has_nothing_to_keep():
    """It leads on, as before."""
    page, client = make_page(title="Old"), person("administrator")
    form = form_of(client, address(page) + "/delete", None)
    page.delete()
    assert client.post(address(page) + "/delete", form).status_code == 302

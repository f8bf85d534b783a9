"""The editor as a person uses it, in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from content import uploads
from content.models import Asset, Block, Editor, Page, Publication, Section
from content.publishing import in_order
from tests.content.editing import make_page, picture

WRITING = '.ProseMirror[contenteditable="true"]'  # the place in which rich text is written

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def editor() -> Editor:
    """Somebody who publishes, and a section to publish in."""
    Section.objects.create(title="News")
    somebody = Editor.objects.create_user("mira", password="a-Long-one-9", is_staff=True, first_name="Mira")
    somebody.groups.add(Group.objects.get(name="editor"))
    return somebody


def log_in(tab: Tab, server: Any, address: str) -> None:
    """Log in on the way to ``address``: one click."""
    tab.goto(f"{server.url}{address}")
    tab.get_by_label("Username").fill("mira")
    tab.get_by_label("Password").fill("a-Long-one-9")
    tab.get_by_role("button", name="Log in").click()
    expect(tab.locator("#user-tools")).to_be_visible()


def add(tab: Tab, kind: str) -> Any:
    """Add a block by its button and return it: one click."""
    tab.get_by_role("toolbar", name="Add a block").get_by_role("button", name=kind).click()
    return tab.locator(f".order-machine .dynamic-{'richtext' if kind == 'Text' else kind.lower()}").last


def test_a_page_is_written_with_an_upload_and_published(quiet_page, live_server, editor, tmp_path):
    """Text, quote, table and an uploaded image go into a page, which is published and found at its public address."""
    tab, file = quiet_page, tmp_path / "harbour.png"
    file.write_bytes(picture("harbour.png").read())
    log_in(tab, live_server, "/admin/content-editor/page/add")
    tab.get_by_placeholder("Title").fill("From the harbour")
    tab.locator(WRITING).first.click()
    tab.keyboard.type("## Morning")
    tab.keyboard.press("Enter")
    tab.keyboard.type("The boats are in.")
    quote = add(tab, "Quote")
    expect(quote.locator(WRITING)).to_be_focused()
    tab.keyboard.type("A calm sea.")
    quote.get_by_label("Attribution").fill("Old Tom")
    image = add(tab, "Image")
    image.get_by_label("Upload a new picture").set_input_files(file)
    image.get_by_label("Alternative text").fill("Boats at rest")
    table = add(tab, "Table")
    table.get_by_label("Row 1, column 1").fill("Boat")
    table.get_by_label("Row 2, column 2").fill("12 m")
    tab.get_by_label("Tags").fill("sea")
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Save and publish").click()
    expect(tab.locator(".messagelist")).to_contain_text("Published")
    page = Page.objects.get()
    assert tab.url.partition("#")[0] == f"{live_server.url}/admin/content-editor/page/{page.slug}"
    asset = Asset.objects.get()
    assert page.tags == ["sea"] and page.authors == ["Mira"]
    assert [(block["type"], {**block["data"], "file": ""}) for block in Publication.objects.get().data["blocks"]] == [
        ("richtext", {"html": "<h2>Morning</h2><p>The boats are in.</p>", "file": ""}),
        ("quote", {"html": "<p>A calm sea.</p>", "attribution": "Old Tom", "file": ""}),
        ("image", {"asset": asset.token, "alt": "Boats at rest", "file": ""}),
        ("table", {"rows": [["Boat", ""], ["", "12 m"]], "header": True, "file": ""}),
    ]
    tab.goto(live_server.url + page.publication.get_absolute_url())
    expect(tab.get_by_role("heading", name="From the harbour")).to_be_visible()
    expect(tab.get_by_role("heading", name="Morning")).to_be_visible()
    expect(tab.get_by_alt_text("Boats at rest")).to_be_visible()


def test_a_page_with_an_image_that_is_there_takes_seven_clicks(quiet_page, live_server, editor):
    """From the log-in to the published page with title, heading, paragraph and image; typing is no click."""
    tab, clicks = quiet_page, 1
    uploads.store(picture("harbour.png"), alt="Boats at rest")

    def click(target: Any) -> None:
        nonlocal clicks
        clicks += 1
        target.click()

    log_in(tab, live_server, "/admin/")
    click(tab.locator(".model-page .addlink").first)
    expect(tab.get_by_placeholder("Title")).to_be_focused()
    tab.keyboard.type("Seven")
    click(tab.locator(WRITING).first)
    tab.keyboard.type("## Morning\nThe boats are in.")
    click(tab.get_by_role("button", name="Image", exact=True))
    expect(tab.locator(".dynamic-image [data-choose]")).to_be_focused()
    click(tab.locator(".dynamic-image [data-choose]"))
    click(tab.locator("dialog.chooser .pictures button").first)
    assert tab.locator("#id_image-0-alt").input_value() == "Boats at rest"
    click(tab.get_by_role("button", name="Save and publish"))
    expect(tab.locator(".messagelist")).to_contain_text("Published")
    assert [block["type"] for block in Publication.objects.get().data["blocks"]] == ["richtext", "image"]
    assert clicks <= 7


def test_a_page_that_is_opened_and_saved_is_not_changed(quiet_page, live_server, editor):
    """Neither the browser nor the rich text editor rewrites what nobody touched."""
    tab = quiet_page
    page = make_page(
        ("richtext", {"html": '<h2 id="x">One</h2>\n<p>Two <abbr title="t">lines</abbr><br>\nand</p>\n<dl><dt>a</dt></dl>\n'}),
        ("code", {"code": "\n  def f():\n\treturn 1\n\n"}),
        ("quote", {"html": "Yes &amp; no", "attribution": " Ada "}),
        ("table", {"rows": [["a"], ["b", "c"]]}),
        ("callout", {"html": "<p>Mind</p>"}),
    )
    before = list(Block.objects.order_by("token").values())
    log_in(tab, live_server, f"/admin/content-editor/page/{page.slug}")
    expect(tab.locator(WRITING)).to_have_count(3)
    tab.get_by_role("button", name="Save", exact=True).click()
    expect(tab.locator(".messagelist")).to_contain_text("Nothing was changed")
    assert list(Block.objects.order_by("token").values()) == before
    assert Page.objects.get().updated == page.updated


def test_blocks_move_and_go_by_keyboard_and_the_preview_follows(quiet_page, live_server, editor):
    """Alt+Up moves a block, its bin deletes it, Ctrl+S saves; the preview shows it all before it is saved."""
    tab = quiet_page
    page = make_page(*[("richtext", {"html": f"<p>{word}</p>"}) for word in ("alpha", "beta", "gamma")])
    log_in(tab, live_server, f"/admin/content-editor/page/{page.slug}")
    expect(tab.locator(WRITING)).to_have_count(3)
    tab.get_by_role("button", name="Preview").click()
    frame = tab.frame_locator(".editor-preview iframe")
    expect(frame.get_by_text("alpha")).to_be_visible()
    tab.locator(WRITING).nth(2).click()
    tab.keyboard.press("Alt+ArrowUp")
    tab.keyboard.press("Alt+ArrowUp")
    tab.keyboard.press("End")
    tab.keyboard.type(" ray")
    tab.locator(".dynamic-richtext").nth(1).get_by_role("button", name="Delete").click()
    expect(frame.get_by_text("gamma ray")).to_be_visible()
    expect(frame.get_by_text("beta")).to_have_count(0)
    assert Block.objects.count() == 3
    tab.keyboard.press("Control+s")
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    assert [block.data["html"] for block in in_order(page.blocks.all())] == ["<p>gamma ray</p>", "<p>alpha</p>"]


def test_a_form_with_a_mistake_opens_at_the_mistake(quiet_page, live_server, editor):
    """However far down it is: the field is in sight and has the cursor, and nobody leaves the unsaved work without being asked."""
    tab = quiet_page
    page = make_page(*[("richtext", {"html": f"<p>{word}</p>" * 20}) for word in ("alpha", "beta", "gamma")])
    log_in(tab, live_server, f"/admin/content-editor/page/{page.slug}")
    add(tab, "Embed").get_by_label("Address").fill("http://example.org")
    tab.get_by_role("button", name="Save", exact=True).click()
    expect(tab.locator(".errornote")).to_be_attached()
    expect(tab.locator(WRITING)).to_have_count(3)
    field = tab.locator(".dynamic-embed").get_by_label("Address")
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport()
    field.press("End")  # browsers ask only those who touched the page
    with tab.expect_event("dialog") as question:
        tab.evaluate("setTimeout(() => { location.href = '/admin/' })")
    assert question.value.type == "beforeunload"
    question.value.dismiss()
    expect(field).to_be_focused()


def test_a_form_is_sent_in_parts_only_where_there_is_a_file_in_it(quiet_page, live_server, editor, tmp_path):
    """The short way is taken for text, which the server reads much faster; a picture goes as before. Both are stored."""
    tab, file, page = quiet_page, tmp_path / "harbour.png", make_page(("richtext", {"html": "<p>old</p>"}))
    file.write_bytes(picture("harbour.png").read())
    sent = []
    tab.on("request", lambda request: sent.append(request.headers["content-type"]) if request.method == "POST" else None)
    log_in(tab, live_server, f"/admin/content-editor/page/{page.slug}")
    expect(tab.get_by_role("toolbar", name="Add a block")).to_be_visible()  # the scripts run
    tab.get_by_label("Summary").fill("salt & ünicode\n+ 100 %")
    tab.get_by_role("button", name="Save", exact=True).click()
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    tab.get_by_label("Upload a new lead image").set_input_files(file)
    with tab.expect_navigation():
        tab.get_by_role("button", name="Save", exact=True).click()
    expect(tab.locator(".editor-side .asset-chooser img")).to_be_visible()
    assert [kind.partition(";")[0] for kind in sent[1:]] == ["application/x-www-form-urlencoded", "multipart/form-data"]
    page.refresh_from_db()
    assert (page.summary, page.image.filename) == ("salt & ünicode\n+ 100 %", "harbour.png")
    assert page.blocks.get().data == {"html": "<p>old</p>"}


def test_who_may_only_look_reads_the_page_in_its_editor(quiet_page, live_server, editor):
    """What is written in its blocks, as readers would see it, without a complaint of the browser."""
    editor.groups.clear()
    editor.user_permissions.add(Permission.objects.get(codename="view_page"))
    page = make_page(("richtext", {"html": "<p>The boats are in.</p>"}))
    log_in(quiet_page, live_server, f"/admin/content-editor/page/{page.slug}")
    shown = quiet_page.frame_locator("iframe")
    expect(shown.get_by_role("heading", name="Example page")).to_be_visible()
    expect(shown.get_by_text("The boats are in.")).to_be_visible()
    expect(quiet_page.get_by_role("button", name="Save")).to_have_count(0)


def test_what_is_typed_outlives_the_session(page, live_server, editor):
    """Logged out while typing: the answer holds it all, one logs in in another tab, and sends it again."""
    log_in(page, live_server, "/admin/content-editor/page/add")
    page.get_by_placeholder("Title").fill("From the harbour")
    page.locator(WRITING).first.click()
    page.keyboard.type("The boats are in.")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("definition").filter(has_text="The boats are in.")).to_be_visible()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="log in").click()
    opened.value.get_by_label("Username").fill("mira")
    opened.value.get_by_label("Password").fill("a-Long-one-9")
    opened.value.get_by_role("button", name="Log in").click()
    expect(opened.value.locator("#user-tools")).to_be_visible()
    for _ in range(2):  # the form that was handed back is older than the login too
        page.get_by_role("button", name="Send it again").click()
    expect(page.locator(".messagelist")).to_contain_text("Saved")
    assert Page.objects.get().title == "From the harbour" and "The boats are in." in Block.objects.get().data["html"]


def test_a_save_that_reaches_no_server_leaves_the_editor_where_it_is(page, live_server, editor):
    """It says so, beside what was typed; the next one, when the server is back, stores it."""
    log_in(page, live_server, "/admin/content-editor/page/add")
    page.get_by_placeholder("Title").fill("From the harbour")
    expect(page.get_by_text("Unsaved changes")).to_be_visible()
    page.context.set_offline(True)
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.get_by_placeholder("Title")).to_have_value("From the harbour")
    page.context.set_offline(False)
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("Saved")
    expect(page.get_by_text("Unsaved changes")).to_be_hidden()
    assert Page.objects.get().title == "From the harbour"


def test_from_the_title_to_the_text_are_few_stops(quiet_page, live_server, editor):
    """By the Tab key: summary, what formats the text, the text itself, which has a name; arrows lead through the formats."""
    page = make_page(("richtext", {"html": "<p>The boats are in.</p>"}))
    log_in(quiet_page, live_server, f"/admin/content-editor/page/{page.slug}")
    text = quiet_page.get_by_role("textbox", name="Text", exact=True)
    expect(text).to_be_visible()
    quiet_page.get_by_placeholder("Title").focus()
    stops = 0
    while not text.evaluate("area => area === document.activeElement"):
        quiet_page.keyboard.press("Tab")
        stops += 1
        assert stops < 9
    quiet_page.keyboard.press("Shift+Tab")
    formats = quiet_page.get_by_role("toolbar", name="Format: Text")
    expect(formats.get_by_role("button", name="paragraph")).to_be_focused()
    for _ in range(2):
        quiet_page.keyboard.press("ArrowRight")
    expect(formats.get_by_role("button", name="ordered list", exact=True)).to_be_focused()


def test_a_block_is_duplicated_with_all_that_is_in_it(quiet_page, live_server, editor):
    """Text as it is typed, a table, a picture: the second one stands behind the first, and both go their own ways."""
    tab, asset = quiet_page, uploads.store(picture("harbour.png"), title="Harbour")
    page = make_page(
        ("richtext", {"html": "<p>alpha</p>"}),
        ("image", {"asset": asset.token, "alt": "Boats"}),
        ("table", {"rows": [["Boat", "12 m"]], "header": False}),
    )
    log_in(tab, live_server, f"/admin/content-editor/page/{page.slug}")
    tab.locator(WRITING).first.click()
    tab.keyboard.press("End")
    tab.keyboard.type(" ray")
    for kind in ("richtext", "image", "table"):
        tab.locator(f".order-machine .dynamic-{kind}").first.get_by_role("button", name="Duplicate").click()
    second = tab.locator(f".dynamic-richtext {WRITING}").last
    expect(second).to_have_text("alpha ray")
    second.click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type(" two")
    tab.keyboard.press("Control+s")
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    blocks = in_order(page.blocks.all())
    assert [block.type for block in blocks] == ["richtext", "richtext", "image", "image", "table", "table"]
    assert [block.data["html"] for block in blocks[:2]] == ["<p>alpha ray</p>", "<p>alpha ray two</p>"]
    assert blocks[2].data == blocks[3].data and blocks[4].data == blocks[5].data
    assert len({block.token for block in blocks}) == 6

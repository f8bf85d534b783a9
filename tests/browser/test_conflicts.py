"""Two who do not know of each other, in Chromium: each sees what the other wrote, and decides in place or in the inbox."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from content.models import Page
from sync import conflicts
from tests.browser.conftest import quiet
from tests.browser.test_editor import WRITING, editor, log_in  # noqa: F401
from tests.content.disputes import dispute, edge
from tests.content.editing import address, make_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_two_tabs_show_each_other_what_they_wrote_and_one_is_chosen(quiet_page, live_server, editor):  # noqa: F811
    """The second tab to save shows both texts at once, with what was typed in the field; the first one's is taken by a choice."""
    one = quiet_page
    page = make_page(("richtext", {"html": "<p>The boats wait.</p>"}))
    log_in(one, live_server, address(page))
    with quiet(one.context.new_page(), live_server.url) as two:
        two.goto(live_server.url + address(page))
        for tab, word in ((one, "ships"), (two, "barges")):
            tab.locator(WRITING).first.fill(f"The {word} wait.")
            tab.keyboard.press("Control+s")
            expect(tab.locator(".messagelist")).to_contain_text("Saved")
        note = two.get_by_role("group", name="2 versions of Text")
        expect(note).to_contain_text("ships")
        expect(note.locator("ins")).to_have_text("ships")
        expect(two.locator(WRITING).first).to_have_text("The barges wait.")
        two.get_by_role("link", name="Text", exact=True).click()
        expect(note).to_be_in_viewport()
        note.get_by_label("take the version of mira at").check()
        two.get_by_role("button", name="Save", exact=True).click()
        expect(two.locator(".messagelist")).to_contain_text("Decided")
        expect(two.locator(WRITING).first).to_have_text("The ships wait.")
        expect(two.locator(".conflict-note")).to_have_count(0)
    assert conflicts.count() == 0 and page.blocks.get().data == {"html": "<p>The ships wait.</p>"}


def test_a_conflict_is_decided_in_the_inbox_and_taken_back(quiet_page, live_server, editor):  # noqa: F811
    """From the index to the inbox, one click to decide, two to have the conflict back, and a third version in the end."""
    tab = quiet_page
    page, one = make_page(("richtext", {"html": "<p>calm</p>"}), title="The harbour"), edge()
    dispute(one, page, "title", "The old harbour", "The new harbour")
    dispute(one, page.blocks.get(), "data/html", "<p>calm sea</p>", "<p>calm water</p>")
    log_in(tab, live_server, "/admin/")
    tab.get_by_role("link", name="Conflicts", exact=True).first.click()
    tab.get_by_role("link", name="Title", exact=True).click()
    tab.get_by_role("button", name="Take this one").click()
    expect(tab.locator(".messagelist")).to_contain_text("Decided")
    assert Page.objects.get().title == "The new harbour" and conflicts.count() == 1
    tab.get_by_role("link", name="Take it back").click()
    tab.get_by_role("button", name="Take it back").click()
    expect(tab.locator(".messagelist")).to_contain_text("open again")
    assert Page.objects.get().title == "The old harbour" and conflicts.count() == 2
    tab.get_by_role("link", name="Conflicts", exact=True).first.click()
    tab.get_by_role("link", name="Text", exact=True).click()
    tab.locator(WRITING).fill("calm sea and water")
    tab.get_by_role("button", name="Save this version").click()
    expect(tab.locator(".messagelist")).to_contain_text("Decided")
    assert page.blocks.get().data == {"html": "<p>calm sea and water</p>"} and conflicts.count() == 1

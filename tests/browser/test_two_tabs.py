"""One page open twice, and one form sent twice, in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from content.models import Page
from sync.status import status
from tests.browser.test_editor import WRITING, editor, log_in  # noqa: F401
from tests.content.editing import address, make_page
from tests.content.test_editor_old_forms import versions

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def saves(tab: Any) -> list[str]:
    """Return a list that grows with every form that ``tab`` sends."""
    found: list[str] = []
    tab.on("request", lambda request: found.append(request.url) if request.method == "POST" else None)
    return found


def test_one_save_at_a_time_and_the_way_back_is_no_conflict_with_oneself(quiet_page, live_server, editor):  # noqa: F811
    """Two clicks on save send one form; going back and saving something else leaves one version."""
    tab = quiet_page
    page = make_page(("richtext", {"html": "<p>alpha</p>"}))
    log_in(tab, live_server, address(page))
    sent = saves(tab)
    tab.get_by_placeholder("Title").fill("Once")
    tab.get_by_role("toolbar", name="Add a block").get_by_role("button", name="Quote").click()
    tab.keyboard.type("said")
    tab.get_by_role("button", name="Save", exact=True).dblclick()
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    assert len(sent) == 1
    tab.go_back()
    expect(tab.locator(WRITING).first).to_be_visible()
    tab.get_by_placeholder("Title").fill("Twice")
    tab.keyboard.press("Control+s")
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    assert versions(Page.objects.get(), "title") == ["Twice"]
    assert page.blocks.count() == 2 and status()["conflicts"] == 0


def test_a_new_page_that_is_saved_by_two_clicks_is_one_page(quiet_page, live_server, editor):  # noqa: F811
    """The form for a new page is sent once."""
    tab = quiet_page
    log_in(tab, live_server, "/admin/content-editor/page/add")
    sent = saves(tab)
    tab.get_by_placeholder("Title").fill("Fresh")
    tab.get_by_role("button", name="Save", exact=True).dblclick()
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    assert len(sent) == 1 and Page.objects.get().title == "Fresh"

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


def save_twice(tab: Any) -> None:
    """Press the keys for saving three times while the answer is still to come: one form is sent."""
    held: list[Any] = []
    tab.route("**/content-editor/**", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    expect(tab.get_by_role("toolbar", name="Add a block")).to_be_visible()  # the scripts run, and the one for keys among them
    for _ in range(3):
        tab.keyboard.press("Control+s")
    for _ in range(100):
        tab.wait_for_timeout(50)  # what was sent arrives here
        if held:
            break
    tab.wait_for_timeout(100)
    assert len(held) == 1
    held[0].continue_()
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    tab.unroute_all()


def test_one_save_at_a_time_and_the_way_back_is_no_conflict_with_oneself(quiet_page, live_server, editor):  # noqa: F811
    """Saving again while a save is under way sends nothing; going back and saving something else leaves one version."""
    tab = quiet_page
    page = make_page(("richtext", {"html": "<p>alpha</p>"}))
    log_in(tab, live_server, address(page))
    tab.get_by_placeholder("Title").fill("Once")
    tab.get_by_role("toolbar", name="Add a block").get_by_role("button", name="Quote").click()
    tab.keyboard.type("said")
    save_twice(tab)
    tab.go_back()
    expect(tab.locator(WRITING).first).to_be_visible()
    tab.get_by_placeholder("Title").fill("Twice")
    tab.keyboard.press("Control+s")
    expect(tab.locator(".messagelist")).to_contain_text("Saved")
    assert versions(Page.objects.get(), "title") == ["Twice"]
    assert page.blocks.count() == 2 and status()["conflicts"] == 0


def test_a_new_page_that_is_saved_twice_at_once_is_one_page(quiet_page, live_server, editor):  # noqa: F811
    """The form for a new page is sent once."""
    tab = quiet_page
    log_in(tab, live_server, "/admin/content-editor/page/add")
    tab.get_by_placeholder("Title").fill("Fresh")
    save_twice(tab)
    assert Page.objects.get().title == "Fresh"

"""What everybody can read and hit in the admin, measured in Chromium: light and dark, wide and narrow."""

from __future__ import annotations

import pytest

from content.models import Section
from tests.browser.test_editor import editor, log_in  # noqa: F401
from tests.content.disputes import dispute, edge
from tests.content.editing import make_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CONTRAST = """link => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number)
    const light = colour => parts(colour).slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
    let behind = link
    while (parts(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement
    const both = [light(getComputedStyle(link).color), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a)
    return (both[0] + .05) / (both[1] + .05)
}"""  # WCAG 2.2, 1.4.3; every background here is opaque, or not there
UNDERLINED = "links => links.every(link => getComputedStyle(link).textDecorationLine.includes('underline'))"
LOW = "links => links.filter(link => link.offsetHeight && link.offsetHeight < 24).map(link => link.textContent)"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_links_are_readable_told_apart_and_large_enough(quiet_page, live_server, editor, scheme, width):  # noqa: F811
    """The head of the sorted column has a contrast of 4.5, links beside text are underlined, filters are 24 pixels high."""
    tab = quiet_page
    Section.objects.create(title="Sea")  # with one section there is nothing to filter by
    page = make_page(title="From the harbour")
    dispute(edge(), page, "title", "From the old harbour", "From the new harbour")
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 900})
    log_in(tab, live_server, "/admin/content-editor/page/?o=1")
    assert tab.locator("th.sorted .text a").evaluate(CONTRAST) >= 4.5
    assert tab.locator("#changelist-filter li a").evaluate_all("links => links.length") > 2
    assert tab.locator("#changelist-filter a, #changelist-filter summary").evaluate_all(LOW) == []
    assert tab.locator(".breadcrumbs a").evaluate_all(UNDERLINED)
    for address in ("/admin/sync/conflict/", f"/admin/sync/conflict/content.page/{page.pk}/?field=title"):
        tab.goto(live_server.url + address)
        found = tab.locator("#content-start a, #content a, .breadcrumbs a")
        assert found.count() > 1 and found.evaluate_all(UNDERLINED)
        assert all(link.evaluate(CONTRAST) >= 4.5 for link in found.all() if link.is_visible())

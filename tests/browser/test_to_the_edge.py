"""The main job, as a person does it: written in Chromium on the master, read in Chromium on the edge. Real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.browser.conftest import quiet
from tests.cluster.harness import PASSWORD, USERNAME, Cluster, Replica, eventually
from tests.content.cast import png

pytestmark = [pytest.mark.browser, pytest.mark.cluster]
WRITING = '.ProseMirror[contenteditable="true"]'  # the place in which rich text is written
SECTION = "from content.models import Section; Section.objects.create(title='Harbour')"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica]]:
    """A master and an edge that trust each other, with their workers, and one section to write in."""
    with Cluster(tmp_path_factory.mktemp("to-the-edge")) as cluster:
        master, edge = cluster.add("MASTER01", "master"), cluster.add("EDGE01", "edge", farm="thames")
        cluster.introduce()
        master.must("shell", "-c", SECTION)
        cluster.start()
        eventually(lambda: digest(edge) == digest(master), timeout=60)
        yield master, edge


def digest(replica: Replica) -> str:
    """What is equal where two replicas hold the same."""
    return str(replica.command("sync_status")["digest"])


def log_in(tab: Tab, replica: Replica, address: str) -> None:
    """Log in as the administrator on the way to ``address``."""
    tab.goto(f"{replica.url}{address}")
    tab.get_by_label("Username").fill(USERNAME)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.locator("#user-tools")).to_be_visible()


def add(tab: Tab, kind: str) -> Any:
    """Add a block by its button and return it."""
    tab.get_by_role("toolbar", name="Add a block").get_by_role("button", name=kind).click()
    return tab.locator(f".order-machine .dynamic-{kind.lower()}").last


def write(tab: Tab, picture: Path) -> None:
    """Fill the form of a new page: heading and paragraph, a quote, code, an uploaded picture."""
    tab.get_by_placeholder("Title").fill("From the harbour")
    tab.locator(WRITING).first.click()
    tab.keyboard.type("## Morning")
    tab.keyboard.press("Enter")
    tab.keyboard.type("The boats are in.")
    quote = add(tab, "Quote")
    quote.locator(WRITING).click()
    tab.keyboard.type("A calm sea.")
    quote.get_by_label("Attribution").fill("Old Tom")
    add(tab, "Code").locator("textarea.code").fill("tide = moon()\n")
    image = add(tab, "Image")
    image.get_by_label("Upload a new picture").set_input_files(picture)
    image.get_by_label("Alternative text").fill("Boats at rest")


def publish(tab: Tab) -> str:
    """Save and publish, and return the public address, without the replica's name."""
    tab.get_by_role("button", name="Save and publish").click()
    expect(tab.locator(".messagelist")).to_contain_text("Published")
    address = tab.locator(".messagelist a").get_attribute("href")
    assert address
    return address


def read(tab: Tab) -> None:
    """Find on the page what ``write`` wrote, the picture loaded in full."""
    expect(tab.get_by_role("heading", name="From the harbour", level=1)).to_be_visible()
    expect(tab.get_by_role("heading", name="Morning", level=2)).to_be_visible()
    expect(tab.get_by_text("The boats are in.")).to_be_visible()
    expect(tab.get_by_role("blockquote")).to_have_text("A calm sea.")
    expect(tab.get_by_text("Old Tom")).to_be_visible()
    expect(tab.locator("pre code")).to_have_text("tide = moon()")
    picture = tab.get_by_alt_text("Boats at rest")
    picture.scroll_into_view_if_needed()
    eventually(lambda: picture.evaluate("image => image.complete && image.naturalWidth") == 64)


def test_a_page_written_on_the_master_is_read_on_the_edge(page: Tab, farm: tuple[Replica, Replica], tmp_path: Path) -> None:
    """Three kinds of block and a picture, published on the master, stand on the edge within seconds, the picture loaded."""
    master, edge = farm
    file = tmp_path / "harbour.png"
    file.write_bytes(png(64, 32))
    with quiet(page, master.url, edge.url) as tab:
        log_in(tab, master, "/admin/content-editor/page/add")
        write(tab, file)
        address = publish(tab)
        eventually(lambda: edge.get(address).status_code == 200, timeout=60)
        source = edge.get(address).text.partition('<img src="')[2].partition('"')[0]
        eventually(lambda: edge.get(source).headers["content-type"] == "image/png", timeout=60)
        tab.goto(f"{edge.url}{address}")
        read(tab)


def test_a_page_changed_on_the_edge_is_read_on_the_master(page: Tab, farm: tuple[Replica, Replica]) -> None:
    """An edge has the same editor: what is written there, then changed and published again, stands on the master."""
    master, edge = farm
    with quiet(page, master.url, edge.url) as tab:
        log_in(tab, edge, "/admin/content-editor/page/add")
        tab.get_by_placeholder("Title").fill("Fog")
        address = publish(tab)
        eventually(lambda: master.get(address).status_code == 200, timeout=60)
        tab.get_by_placeholder("Title").fill("Fog has lifted")
        assert publish(tab) == address
        eventually(lambda: "Fog has lifted" in master.get(address).text, timeout=60)
        tab.goto(f"{master.url}{address}")
        expect(tab.get_by_role("heading", name="Fog has lifted", level=1)).to_be_visible()

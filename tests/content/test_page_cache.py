"""Public pages as files: rendered once, never older than the last commit, answered without Django or the database."""

import gzip
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from backports import zstd
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from content.models import Page, Publication, PublicPage, Section
from content.pagecache import stale
from content.pagecache.folder import PageFolder, file_of
from content.pagecache.forms import accepted
from content.publishing import publish, unpublish
from sync.core.changeset import Op, Write
from tests.content import cast
from tests.content.reading import Reader
from tests.sync.origins import Origin, arrive

pytestmark = pytest.mark.django_db(transaction=True)


def address(page: Page) -> str:
    """Where readers find ``page``."""
    return f"/{page.section.slug}/{page.slug}"


def kept() -> set[str]:
    """The files in the folder, without their other forms."""
    root = stale.folder().root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in (".html", ".xml", ".atom")}


# --- answering ------------------------------------------------------------------------------------------------------------------


def test_a_page_is_rendered_once_and_then_answered_without_django(reader: Reader) -> None:
    """The second reader gets the same bytes and headers, and neither Django nor the database is asked."""
    page = cast.published(html="<p>Nobody counted.</p>")
    first = reader.get(address(page))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        second = reader.get(address(page))
    assert (first.code, second.code, reader.rendered, len(queries)) == (200, 200, 1, 0)
    assert first.body == second.body and first.headers == second.headers
    assert "Nobody counted." in second.text
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
        assert second.headers[name], name
    assert second.headers["Cache-Control"] == "public, max-age=0, must-revalidate"


@pytest.mark.parametrize("path", ["/", "/feed", "/sitemap.xml", "section", "page"])
def test_everything_public_is_kept_as_a_file(reader: Reader, path: str) -> None:
    """Home, feed, sitemap, sections and pages, each under its own type."""
    page = cast.published()
    path = {"section": f"/{page.section.slug}", "page": address(page)}.get(path, path)
    types = {reader.get(path).headers["Content-Type"] for _ in range(2)}
    assert reader.rendered == 1 and len(types) == 1
    assert (stale.folder().root / file_of(path)).is_file()


@pytest.mark.parametrize(
    ("header", "decode"), [("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", zstd.decompress)]
)
def test_each_client_gets_the_form_that_it_takes(reader: Reader, header: str, decode: Callable[[bytes], bytes]) -> None:
    """The same page, compressed once, with an ETag of its own."""
    page = cast.published(html=f"<p>{'Nobody counted. ' * 50}</p>")
    plain, small = reader.get(address(page)), reader.get(address(page), accept_encoding=header)
    assert small.headers["Content-Encoding"] == header and decode(small.body) == plain.body
    assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert small.headers["ETag"] != plain.headers["ETag"]


def test_weights_of_accept_encoding_are_heeded() -> None:
    """What a client refuses it does not get; of what it likes alike it gets the smallest."""
    assert accepted("gzip, deflate, br, zstd")[0] == "br"
    assert accepted("gzip;q=1, br;q=0.5")[0] == "gzip"
    assert accepted("br;q=0, *")[0] == "zstd"
    assert accepted("") == accepted("identity") == accepted("br;q=nonsense") == ("identity",)


def test_who_has_a_page_already_gets_no_body(reader: Reader) -> None:
    """By ETag and by time; and not any more when it was published anew within the same second."""
    page = cast.published(html="<p>One</p>")
    first = reader.get(address(page))
    again = reader.get(address(page), if_none_match=first.headers["ETag"])
    assert (again.code, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert reader.get(address(page), if_modified_since=first.headers["Last-Modified"]).code == 304
    page.blocks.update(data={"html": "<p>Two</p>"})
    publish(page)
    assert "Two" in reader.get(address(page), if_none_match=first.headers["ETag"]).text
    assert "Two" in reader.get(address(page), if_modified_since=first.headers["Last-Modified"]).text


def test_head_answers_like_get_without_a_body(reader: Reader) -> None:
    """Also where it is the first to ask."""
    page = cast.published()
    head = reader.get(address(page), method="HEAD")
    get = reader.get(address(page))
    assert head.body == b"" and head.headers == get.headers and reader.rendered == 1


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/", "page=2", 200),
        ("/search", "", 200),
        ("/nothing-43ax", "", 404),
        ("/../db-43ax", "", 404),
        ("/robots.txt", "", 200),
    ],
)
def test_nothing_else_is_kept(reader: Reader, path: str, query: str, code: int) -> None:
    """Searches, queries, errors and odd paths go to Django each time and leave no file."""
    cast.published()
    assert [reader.get(path, query=query).code for _ in range(2)] == [code, code]
    assert reader.rendered == 2 and kept() == set()


# --- never older than the last commit -------------------------------------------------------------------------------------------


def fill(reader: Reader) -> tuple[Page, Page]:
    """Publish two pages in two sections and read everything."""
    one, other = cast.published("One", section=cast.section("First")), cast.published("Other", section=cast.section("Second"))
    for path in ("/", "/feed", "/sitemap.xml", *(f"/{p.section.slug}" for p in (one, other)), address(one), address(other)):
        assert reader.get(path).code == 200
    return one, other


def test_publishing_removes_just_what_shows_the_page(reader: Reader) -> None:
    """The page, its section, home, feed and sitemap; other pages and sections stay where they are."""
    one, other = fill(reader)
    one.title = "One, again"
    one.save()
    assert len(kept()) == 7  # a draft is nothing public
    publish(one)
    assert kept() == {file_of(address(other)), file_of(f"/{other.section.slug}")}
    for path in ("/", "/feed", f"/{one.section.slug}", address(one)):
        assert "One, again" in reader.get(path).text


def test_taking_down_and_moving_leave_nothing_behind(reader: Reader) -> None:
    """A page that was taken down or has moved is gone from its former address at once, for whoever reads."""
    one, other = fill(reader)
    former = address(one)
    one.section = other.section
    one.save()
    publish(one)
    assert reader.get(former).code == 301
    unpublish(one)
    assert reader.get(address(one)).code == 410
    assert "One" not in reader.get(f"/{other.section.slug}").text


def test_a_section_that_is_renamed_changes_every_page(reader: Reader) -> None:
    """Its name stands in the navigation; so does a section that gets its first page or loses its last."""
    one, other = fill(reader)
    section = Section.objects.get(pk=one.section_id)
    section.title = "Renamed"
    section.save()
    assert kept() == set() and "Renamed" in reader.get(address(other)).text
    assert reader.get(f"/{section.slug}/{one.slug}").code == 200
    unpublish(other)
    assert kept() == set()


def test_what_comes_by_sync_removes_as_what_is_written_here(reader: Reader) -> None:
    """A publication made elsewhere shows at once."""
    one, other = fill(reader)
    origin = Origin("EDGE01-LON").trust_here()
    token = "EDGE01-LON-43AX-7K2M9QX1-221126143015"
    shown = Publication.objects.get(page=one)
    values = {"page_id": one.token, "section_id": one.section_id, "slug": one.slug, "title": "From afar", "data": shown.data}
    writes = [Write(name, None, value, []) for name, value in values.items()]
    writes.append(Write("date", None, "2026-11-24T00:00:00+00:00", []))
    from sync.core.register import Row
    from sync.models import Register

    heads = Row.decode(bytes(Register.objects.get(model="content.page", token=one.token).state)).heads["publication_id"]
    made = [
        Op("content.publication", token, writes),
        Op("content.page", one.token, [Write("publication_id", None, token, [0])]),
    ]
    arrive(origin.make(*made, refs=heads))
    assert kept() == {file_of(address(other)), file_of(f"/{other.section.slug}")}
    assert "From afar" in reader.get("/").text


def test_a_render_that_began_before_a_commit_puts_no_old_page_back(reader: Reader) -> None:
    """It answers who asked, and is not kept: neither where the commit ended meanwhile nor where it is still under way."""
    page = cast.published(html="<p>Old</p>")

    def meanwhile() -> None:
        reader.during = lambda: None
        page.blocks.update(data={"html": "<p>New</p>"})
        publish(page)

    reader.during = meanwhile
    assert "Old" in reader.get(address(page)).text
    assert kept() == set()
    assert "New" in reader.get(address(page)).text


def test_nothing_is_kept_while_a_change_is_under_way(reader: Reader) -> None:
    """Between the announcement and the end of a transaction readers see the old page, and it is not kept; a rollback ends it."""
    page = cast.published(html="<p>Old</p>")
    folder = stale.folder()
    change = folder.change([address(page)])
    assert reader.get(address(page)).code == 200 and kept() == set()
    change.end()
    assert reader.get(address(page)).code == 200 and kept() == {file_of(address(page))}


def test_a_commit_that_fails_ends_its_change(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are kept again after a rollback just before the commit."""
    page = cast.published(html="<p>Old</p>")

    def fail(rows: Any, **_: Any) -> None:
        raise RuntimeError("no room")

    from sync import signals

    signals.projected.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            unpublish(page)
    finally:
        signals.projected.disconnect(fail)
    assert reader.get(address(page)).code == 200 and kept() == {file_of(address(page))}


def test_a_change_whose_process_died_is_cleared_up(reader: Reader) -> None:
    """Where a process was killed between its commit and the end of its change, pages are kept again, and none of them is stale."""
    page = cast.published(html="<p>Old</p>")
    reader.get(address(page))
    child = os.fork()
    if not child:
        stale.folder().change([address(page)])
        os._exit(0)
    os.waitpid(child, 0)
    assert kept() == set()
    assert [reader.get(address(page)).code for _ in range(3)] == [200, 200, 200]
    assert kept() == {file_of(address(page))} and not list(stale.folder().marks.iterdir())


def test_a_burst_renders_a_page_once(reader: Reader) -> None:
    """Of many who ask for a page that is not there, one waits for Django and the others for that one."""
    page = cast.published()
    reader.during = lambda: time.sleep(0.05)
    threads = [threading.Thread(target=reader.get, args=(address(page),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reader.rendered == 1


# --- the folder -----------------------------------------------------------------------------------------------------------------


def test_the_folder_can_be_deleted_at_any_time(reader: Reader) -> None:
    """It fills again, and what is in the memory of a process goes with the file."""
    import shutil

    page = cast.published()
    for _ in range(2):
        assert [reader.get(address(page)).code for _ in range(3)] == [200, 200, 200]
        assert kept() == {file_of(address(page))}
        shutil.rmtree(stale.folder().root)


def test_the_folder_is_bounded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound it is emptied, and goes on."""
    monkeypatch.setattr("content.pagecache.folder.MAX_BYTES", 50_000)
    monkeypatch.setattr("content.pagecache.folder.LOOK_EVERY", 5)
    folder = PageFolder(tmp_path)
    folder.change(None).end()
    sizes = []
    for number in range(60):
        assert folder.keep(f"/page-{number:02}ax", folder.epoch(), "text/html", [], os.urandom(1500).hex().encode())
        sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()))
    assert max(sizes) < 90_000 and (tmp_path / "page-59ax.html").is_file()


def test_pages_that_went_take_no_room_in_memory(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has seen many pages go remembers as many as one that has just begun."""
    page = cast.published()
    for _ in range(5):
        assert reader.get(address(page)).code == 200 and reader.cache.bytes > 0
        change = stale.folder().change([address(page)])
        assert reader.get(address(page)).code == 200
        assert reader.cache.pages == {} and reader.cache.bytes == 0
        change.end()


def test_pages_of_another_release_or_other_settings_are_gone(tmp_path: Any) -> None:
    """A server that starts with other templates shows none of the former ones; with the same, it keeps what is there."""
    folder = PageFolder(tmp_path)
    folder.settle("one")
    assert folder.keep("/", folder.epoch(), "text/html", [], b"<p>")
    folder.settle("one")
    assert (tmp_path / "index.html").is_file()
    folder.settle("two")
    assert not (tmp_path / "index.html").exists()


def test_what_is_shown_is_derived_anew(reader: Reader) -> None:
    """The table by which changes are noticed equals what follows from the publications."""
    fill(reader)
    before = set(PublicPage.objects.values_list("page", "publication", "section", "address"))
    with transaction.atomic():
        stale.derive()
    assert len(before) == 2 and set(PublicPage.objects.values_list("page", "publication", "section", "address")) == before
    assert kept() == set()

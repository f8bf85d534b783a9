"""Promises of the public site: publications, and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from content.models import Block, Publication, Section
from content.publishing import publish, unpublish
from tests.content import cast

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # slugs are claimed when a transaction commits


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def test_published_page_is_shown_at_its_address(client: Client) -> None:
    """A reader finds the title and the text of a published page at /section/page."""
    page = cast.published("Low water", html="<p>Nobody counted.</p>")
    html = text(client, f"/{page.section.slug}/{page.slug}")
    assert "<h1>Low water</h1>" in html and "<p>Nobody counted.</p>" in html


def test_draft_saved_after_publishing_changes_nothing_public(client: Client) -> None:
    """Every public address stays the same, byte for byte, while the draft behind it is rewritten."""
    page = cast.published("Low water", summary="Old", tags=["tide"])
    addresses = ["/", f"/{page.section.slug}", f"/{page.section.slug}/{page.slug}", "/feed", "/sitemap.xml", "/search?q=water"]
    before = [client.get(address).content for address in addresses]
    page.title, page.summary, page.tags, page.hidden_from_search = "High water", "New", ["flood"], True
    page.section = cast.section("Other")
    page.renew_slug()
    page.save()
    page.blocks.update(data={"html": "<p>New text</p>"})
    Block.objects.create(parent=page, type="quote", data={"html": "more"}, ordering="a")
    assert [client.get(address).content for address in addresses] == before


@pytest.mark.parametrize(
    "address", ["/", "/feed", "/sitemap.xml", "/search?q=secret", "/api/v1/pages/", "/api/v1/search/?q=secret"]
)
def test_draft_never_published_appears_nowhere(client: Client, address: str) -> None:
    """What was never published leaves no trace in any public list."""
    cast.draft("A secret plan", html="<p>secret</p>")
    assert "plan" not in text(client, address)


def test_draft_never_published_is_not_found_at_its_address(client: Client) -> None:
    """The address of a draft answers as if there were nothing."""
    page = cast.draft()
    assert client.get(f"/{page.section.slug}/{page.slug}").status_code == 404


@committed
def test_unpublished_page_is_gone(client: Client) -> None:
    """A page that was taken down answers 410, and leaves every list."""
    page = cast.published()
    unpublish(page)
    response = client.get(f"/{page.section.slug}/{page.slug}")
    assert response.status_code == 410 and "taken down" in response.content.decode()
    assert "Low water" not in text(client, "/")


@committed
def test_deleted_page_is_gone(client: Client) -> None:
    """A page that was deleted after it had been public answers 410."""
    page = cast.published()
    address = f"/{page.section.slug}/{page.slug}"
    page.delete()
    assert client.get(address).status_code == 410


def test_unknown_address_is_a_page_that_says_so(client: Client) -> None:
    """An address that never was answers 404 with a way on, and is not indexed."""
    response = client.get("/never/was")
    html = response.content.decode()
    assert response.status_code == 404 and 'action="/search"' in html and "noindex" in html


def test_section_lists_its_pages_newest_first_and_by_pages(client: Client) -> None:
    """A section shows twenty of its pages, newest first, and leads to the older ones."""
    section, now = cast.section(), datetime(2026, 11, 1, tzinfo=UTC)
    for number in range(21):
        cast.published(f"Report {number:02}", section=section, date=now - timedelta(days=number))
    first, second = text(client, f"/{section.slug}"), text(client, f"/{section.slug}?page=2")
    assert first.index("Report 00") < first.index("Report 01") and "Report 20" not in first
    assert "Report 20" in second and "Report 19" not in second


def test_section_without_published_pages_is_not_offered(client: Client) -> None:
    """The front page names sections with something to read only."""
    cast.published(section=cast.section("News"))
    cast.section("Empty")
    html = text(client, "/")
    assert ">News<" in html and "Empty" not in html


def test_publication_whose_section_is_not_here_is_left_out(client: Client) -> None:
    """A page whose section has not arrived is shown nowhere and breaks nothing."""
    section = cast.section()
    page = cast.published(section=section)
    section_is_lost(section)
    for address in ("/", "/feed", "/sitemap.xml", "/search?q=water", "/api/v1/pages/"):
        assert "Low water" not in text(client, address)
    assert client.get(f"/{section.slug}/{page.slug}").status_code in (404, 410)


def section_is_lost(section: Section) -> None:
    """Remove the row beneath its pages, as when it has not arrived yet."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM content_section WHERE token = %s", [section.token])


@pytest.mark.parametrize(("place", "times"), [(0, 1), (1, 1), (2, 2)])
def test_lead_image_is_not_shown_twice_in_a_row(client: Client, place: int, times: int) -> None:
    """A picture that stands among the first blocks too, under whatever name, is shown there only; further down it comes again."""
    picture = cast.asset()
    page = cast.draft(image=picture)
    for number in range(1, 3):
        Block.objects.create(parent=page, type="richtext", data={"html": f"<p>{number}</p>"}, ordering=f"V{number}")
    Block.objects.create(
        parent=page, type="image", data={"asset": cast.asset(filename="again.png").token}, ordering=("A", "V05", "V15")[place]
    )
    publish(page)
    page.refresh_from_db()
    html = text(client, page.get_absolute_url())
    assert html.count(f'<img src="/media/{picture.digest}/') == times
    assert f'property="og:image" content="http://localhost:8000{picture.url}"' in html


def test_page_that_points_to_a_publication_not_here_breaks_nothing(client: Client) -> None:
    """A page whose publication has not arrived is left out of every list."""
    page = cast.published()
    Publication.objects.all().delete()
    assert "Low water" not in text(client, "/")
    assert client.get(f"/{page.section.slug}/{page.slug}").status_code == 404


def test_hostile_publication_is_cleaned_and_shown(client: Client) -> None:
    """Whatever a publication holds that arrived by replication, nothing of it runs and nothing fails."""
    page = cast.published()
    hostile: dict[str, Any] = {
        "title": "<script>1</script>",
        "image": {"url": "javascript:alert(1)", "width": "x"},
        "tags": "none",
        "authors": [1, None],
        "blocks": [
            {"type": "richtext", "data": {"html": '<p onclick="x()">kept</p><script>alert(2)</script>'}},
            {"type": "richtext", "data": {"html": 5}},
            {"type": "image", "data": {"file": {"url": "https://evil.example/x.png"}}},
            {"type": "embed", "data": {"url": "https://[broken", "title": "x"}},
            {"type": "embed", "data": {"url": 7}},
            {"type": "table", "data": {"rows": "x", "header": True}},
            {"type": "table", "data": {"rows": [["<b>"], 1]}},
            {"type": "unheard-of", "data": {"html": "hidden"}},
            "no block",
        ],
    }
    Publication.objects.update(data=hostile)
    html = text(client, f"/{page.section.slug}/{page.slug}")
    assert "kept" in html and "&lt;b&gt;" in html
    for bad in ("onclick", "alert(", "evil.example", "hidden", "<script>1"):
        assert bad not in html
    for address in ("/", f"/{page.section.slug}", "/feed", "/search?q=kept", "/api/v1/pages/", f"/api/v1/pages/{page.token}"):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("data", [[], "text", 5, {"blocks": {"a": 1}, "tags": None, "title": 3}])
def test_publication_of_any_shape_breaks_no_address(client: Client, data: Any) -> None:
    """JSON of a shape nobody expected costs that page its content, and no address its answer."""
    page = cast.published()
    Publication.objects.update(data=data)
    for address in (
        "/",
        f"/{page.section.slug}/{page.slug}",
        "/feed",
        "/search?q=low",
        "/api/v1/pages/",
        f"/api/v1/pages/{page.slug}/",
    ):
        assert client.get(address).status_code == 200, address


def test_unchanged_page_is_not_sent_again(client: Client) -> None:
    """A reader who has the page gets 304 until it is published anew."""
    page = cast.published()
    address = f"/{page.section.slug}/{page.slug}"
    first = client.get(address)
    assert "must-revalidate" in first["Cache-Control"] and first["Last-Modified"]
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    page.title = "High water"
    page.save()
    publish(page)
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_head_has_the_headers_of_get_and_no_body(client: Client) -> None:
    """Who asks for the headers alone gets just those that the page has."""
    page = cast.published()
    address = f"/{page.section.slug}/{page.slug}"
    get, head = client.get(address), client.head(address)
    assert not head.content and dict(head.items()) == dict(get.items())


def test_public_pages_set_no_cookie_and_differ_for_nobody(client: Client) -> None:
    """What the public gets is the same for all: no cookie, no variation but compression."""
    cast.published()
    response = client.get("/")
    assert not response.cookies and response["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "address", ["/", "/{section}", "/feed", "/sitemap.xml", "/search?q=report", "/api/v1/pages/", "/api/v1/sections/"]
)
def test_number_of_queries_does_not_grow_with_pages(client: Client, address: str) -> None:
    """A list costs as many queries for twelve pages as for two."""
    section = cast.section()
    address = address.format(section=section.slug)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    for number in range(2):
        cast.published(f"Report {number}", section=section)
    few = queries()
    for number in range(10):
        cast.published(f"Report {number}", section=cast.section(f"Part {number}"))
        cast.published(f"Report {number}", section=section)
    assert queries() == few


def test_page_with_style_fits_the_first_round_trip(client: Client) -> None:
    """Page and stylesheet together stay under 14 KB compressed."""
    page = cast.published()
    html = client.get(f"/{page.section.slug}/{page.slug}", headers={"Accept-Encoding": "gzip"})
    style = client.get("/style/any.css", headers={"Accept-Encoding": "gzip"})
    assert html["Content-Encoding"] == style["Content-Encoding"] == "gzip"
    assert len(html.content) + len(style.content) < 14_000


def test_stylesheet_is_kept_for_ever_under_its_own_digest_only(client: Client) -> None:
    """A page of another release gets the stylesheet that is here, and does not keep it."""
    html = text(client, "/")
    address = html.split('rel="stylesheet" href="')[1].split('"')[0]
    assert "immutable" in client.get(address)["Cache-Control"]
    assert "immutable" not in client.get("/style/0123456789abcdef.css")["Cache-Control"]


def test_page_hidden_from_search_engines_says_so_and_is_off_the_map(client: Client) -> None:
    """A page that its editors hide is readable, marked noindex, and not in the sitemap."""
    page = cast.published("Quiet", hidden_from_search=True)
    cast.published("Loud")
    assert '<meta name="robots" content="noindex">' in text(client, f"/{page.section.slug}/{page.slug}")
    sitemap = text(client, "/sitemap.xml")
    assert "loud" in sitemap and "quiet" not in sitemap


def test_feed_is_valid_atom_with_stable_names(client: Client) -> None:
    """An entry of the feed is named by its page, so that publishing again makes no second one."""
    from xml.etree import ElementTree

    page = cast.published(authors=["Ada"], tags=["tide"])
    publish(page)
    feed = ElementTree.fromstring(text(client, "/feed"))
    entries = feed.findall("{http://www.w3.org/2005/Atom}entry")
    assert [entry.findtext("{http://www.w3.org/2005/Atom}id") for entry in entries] == [f"urn:edgecms:{page.token}"]
    assert 'type="application/atom+xml"' in text(client, "/")


def test_writing_to_a_public_address_is_refused(client: Client) -> None:
    """The public site is read only."""
    assert client.post("/").status_code == 405

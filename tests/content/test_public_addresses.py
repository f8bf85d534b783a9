"""Promises of addresses: what a page ever had as its address leads to where it is now."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from content import addresses
from content.models import Page, Redirect
from content.public.published import publications
from content.publishing import publish, unpublish
from tests.content import cast

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # slugs are claimed when a transaction commits


def leads_to(client: Client, address: str) -> str:
    """The one permanent step from ``address``, which must end at a page that is there."""
    response = client.get(address)
    assert response.status_code == 301, address
    assert client.get(response["Location"]).status_code == 200
    return str(response["Location"])


@committed
def test_former_slug_leads_to_the_page(client: Client) -> None:
    """A page that was given a new slug twice is found under both former ones, in one step."""
    page = cast.published("First name")
    former = [page.slug]
    for title in ("Second name", "Third name"):
        page.title = title
        page.renew_slug()
        page.save()
        publish(page)
        former.append(page.slug)
    now = f"/{page.section.slug}/{page.slug}"
    assert [leads_to(client, f"/{page.section.slug}/{slug}") for slug in former[:-1]] == [now, now]


def test_page_under_the_wrong_section_leads_to_the_right_one(client: Client) -> None:
    """A page that moved to another section is found under the former, and under any other."""
    page = cast.published(section=cast.section("News"))
    page.section = cast.section("Stories")
    page.save()
    publish(page)
    assert leads_to(client, f"/news/{page.slug}") == f"/{page.section.slug}/{page.slug}"


@committed
def test_former_slug_of_an_unpublished_page_is_gone(client: Client) -> None:
    """What was taken down is gone under its former slugs, too."""
    page = cast.published("First name")
    former = page.slug
    page.title = "Second name"
    page.renew_slug()
    page.save()
    publish(page)
    unpublish(page)
    assert client.get(f"/{page.section.slug}/{former}").status_code == 410


@committed
def test_former_slug_of_a_section_leads_to_it(client: Client) -> None:
    """A section that was given a new slug is found under the former one."""
    section = cast.published().section
    former = section.slug
    section.title = "Stories"
    section.renew_slug()
    section.save()
    assert leads_to(client, f"/{former}") == f"/{section.slug}"


@committed
def test_draft_with_a_new_slug_is_not_betrayed(client: Client) -> None:
    """A slug that only a draft ever had is unknown to the public, not gone."""
    page = cast.draft("Secret plan")
    former = page.slug
    page.title = "Other plan"
    page.renew_slug()
    page.save()
    Redirect.objects.create(path="/old", page=page)
    for address in (f"/{page.section.slug}/{former}", f"/{page.section.slug}/{page.slug}", "/old"):
        assert client.get(address).status_code == 404


def test_imported_address_leads_to_the_page(client: Client) -> None:
    """A redirect leads from an address of any depth, with and without a slash, to where the page is now."""
    page = cast.published()
    Redirect.objects.create(path="/2014/06/low-water.html", page=page)
    now = f"/{page.section.slug}/{page.slug}"
    assert leads_to(client, "/2014/06/low-water.html") == leads_to(client, "/2014/06/low-water.html/") == now


def test_imported_address_that_two_pages_claim_leads_to_a_public_one(client: Client) -> None:
    """Of two pages with one imported address the public one is found."""
    for page in (cast.draft("One"), cast.published("Two"), cast.draft("Three")):
        Redirect.objects.create(path="/old", page=page)
    assert "/two-" in leads_to(client, "/old")


@pytest.mark.parametrize("kind", ["section", "page"])
def test_slash_at_the_end_leads_to_the_address_without(client: Client, kind: str) -> None:
    """One page has one address: with a slash it redirects for good, and keeps the query."""
    page = cast.published()
    address = f"/{page.section.slug}" if kind == "section" else f"/{page.section.slug}/{page.slug}"
    assert leads_to(client, f"{address}/?page=1") == f"{address}?page=1"


def same_slug(*titles: str, apart: bool = False) -> list[Page]:
    """Publish pages that all claim one slug, the first of them first, in one section or each in its own."""
    one = cast.section("News")
    pages = [cast.published(title, section=cast.section(title) if apart else one) for title in titles]
    for page in pages:
        page.slug = "same-12ab"
        page.save()
        publish(page)
    return [Page.objects.get(pk=page.pk) for page in pages]


@committed
def test_two_pages_that_claimed_one_slug_are_both_found_by_links_to_either(client: Client) -> None:
    """The first claim keeps the slug; a link that names the section of the other page leads to that one."""
    north, south = same_slug("North", "South", apart=True)
    assert north.slug == "same-12ab" != south.slug
    assert "<h1>North</h1>" in client.get(f"/{north.section.slug}/same-12ab").content.decode()
    assert "<h1>South</h1>" in client.get(f"/{south.section.slug}/{south.slug}").content.decode()
    assert leads_to(client, f"/{south.section.slug}/same-12ab") == f"/{south.section.slug}/{south.slug}"
    assert leads_to(client, "/elsewhere/same-12ab") == f"/{north.section.slug}/same-12ab"


@committed
def test_two_pages_that_claimed_one_slug_in_one_section_have_two_addresses(client: Client) -> None:
    """Both are public, each under an address of its own, which lists, editor and API name alike."""
    north, south = same_slug("North", "South")
    for page in (north, south):
        assert f"<h1>{page.title}</h1>" in client.get(f"/{page.section.slug}/{page.slug}").content.decode()
        assert page.publication is not None and page.publication.slug == page.slug
    home = client.get("/").content.decode()
    assert f"/{north.section.slug}/{north.slug}" in home and f"/{south.section.slug}/{south.slug}" in home


@committed
def test_a_mistyped_slug_leads_where_its_tag_and_words_say(client: Client) -> None:
    """With the tag right and most words, a reader arrives; with the tag of nobody, or none of the words, not."""
    page = cast.published("Tide tables of spring")
    now = f"/{page.section.slug}/{page.slug}"
    tag = page.slug[-4:]
    assert leads_to(client, f"/{page.section.slug}/tide-table-of-spring-{tag}") == now
    assert client.get(f"/{page.section.slug}/harbour-{tag}").status_code == 404
    assert client.get(f"/{page.section.slug}/tide-tables-of-spring-99zz").status_code == 404


@pytest.mark.parametrize("address", ["/%2Fevil.example/", "/%00", "/a/b/c/d", "/%E4%00/x", "/" + "x" * 3000])
def test_odd_addresses_are_simply_not_found(client: Client, address: str) -> None:
    """Nothing that a reader can type leads outside or to an error of the server."""
    assert client.get(address).status_code == 404


def test_admin_without_its_slash_is_found(client: Client) -> None:
    """/admin leads to the admin, not to the public site."""
    assert client.get("/admin")["Location"] == "/admin/"


def steps(work: Callable[[], object]) -> int:
    """How many tens of steps SQLite's machine takes for ``work``."""
    found = [0]

    def note() -> int:
        found[0] += 1
        return 0

    connection.connection.set_progress_handler(note, 10)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return found[0]


def test_pages_are_found_as_soon_among_many_as_among_few() -> None:
    """One that is there, one that never was, the newest of all and of a section: no page but those that are meant is read."""
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite counts its steps")
    counts = []
    for more in (25, 75):
        pages = [cast.published(f"Page {number} of {more}") for number in range(more)]
        last = max(pages, key=lambda page: page.token)
        section = last.section
        counts.append(
            [
                steps(lambda: addresses.resolve(f"{section.slug}/{last.slug}")),  # noqa: B023
                steps(lambda: addresses.resolve(f"{section.slug}/nothing-99zz")),  # noqa: B023
                steps(lambda: list(publications()[:10])),
                steps(lambda: list(publications().filter(section=section)[:20])),  # noqa: B023
            ]
        )
    assert all(many <= few + 5 for few, many in zip(*counts, strict=True)), counts

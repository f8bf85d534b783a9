"""Promises of ``/api/v1/pages/`` and ``sections/``."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from content.api.drafts import order
from content.models import Block, Page, Publication, Section
from content.publishing import publish
from tests.content import cast

pytestmark = pytest.mark.django_db
PAGES = "/api/v1/pages/"
WRITER = ("view_page", "add_page", "change_page", "delete_page")
TEXT = {"type": "richtext", "data": {"html": "<p>One</p>"}}


@pytest.fixture(autouse=True)
def no_throttling_left() -> None:
    cache.clear()


def client_of(*permissions: str) -> Client:
    client = Client()
    client.force_login(cast.staff(*permissions))
    return client


def send(client: Client, method: str, address: str, body: Any = None) -> Any:
    return getattr(client, method)(address, body, content_type="application/json")


def test_anonymous_reader_sees_the_published_version(client: Client) -> None:
    """A list and a page show what was published, by token and by slug, whatever the draft says now."""
    page = cast.published("Low water", tags=["tide"], authors=["Ada"])
    Page.objects.update(title="Secret")
    listed = client.get(PAGES).json()
    assert listed["count"] == 1 and "blocks" not in listed["results"][0]
    for key in (page.token, page.slug):
        shown = client.get(f"{PAGES}{key}/").json()
        assert (shown["token"], shown["title"], shown["tags"]) == (page.token, "Low water", ["tide"])
        assert shown["address"] == f"/{page.section.slug}/{page.slug}"
        assert shown["blocks"][0]["data"] == {"html": "<p>The tide is out.</p>"}


def test_lists_are_filtered_and_paged(client: Client) -> None:
    """Section by token or slug, tag in any case and alphabet, days, limit and offset."""
    news, guides = cast.section("News"), cast.section("Guides")
    cast.published("One", section=news, tags=["Tide", "Ærø"], date=datetime(2026, 1, 1, 12, tzinfo=UTC))
    cast.published("Two", section=guides, tags=["tides"], date=datetime(2026, 1, 2, 12, tzinfo=UTC))
    cast.published("Three", section=guides, tags=[], date=datetime(2026, 1, 3, 12, tzinfo=UTC))

    def titles(**query: Any) -> list[str]:
        return [page["title"] for page in client.get(PAGES, query).json()["results"]]

    assert titles(section=news.token) == titles(section=news.slug) == titles(tag="tide") == titles(tag="Ærø") == ["One"]
    assert titles(date_after="2026-01-02") == ["Three", "Two"] and titles(date_before="2026-01-02") == ["Two", "One"]
    assert titles(limit=1, offset=1) == ["Two"] and titles(tag='x"') == []


def test_wrong_filter_is_a_problem(client: Client) -> None:
    """A filter that cannot be understood names itself."""
    problem = client.get(PAGES, {"date_after": "yesterday"})
    assert problem.status_code == 400 and "date" in problem.json()["errors"][0]["field"]


def test_drafts_are_for_staff_who_may_view_pages(client: Client) -> None:
    """draft=true gives 401 to strangers, 403 to staff without the permission, the draft to those with it."""
    page = cast.draft("Plan")
    assert client.get(f"{PAGES}?draft=true").status_code == 401
    assert client_of().get(f"{PAGES}{page.slug}?draft=true").status_code == 403
    client.force_login(cast.staff("view_page", username="ada"))
    assert client.get(f"{PAGES}{page.slug}?draft=true").json()["title"] == "Plan"
    assert client.get(f"{PAGES}?draft=true").json()["results"][0]["token"] == page.token


def test_permissions_count_for_staff_only(client: Client) -> None:
    """An account that is not staff may write nothing, whatever permissions it was given."""
    user = cast.staff(*WRITER)
    user.is_staff = False
    user.save()
    client.force_login(user)
    assert send(client, "post", PAGES, {"title": "x"}).status_code == 403


def test_page_is_written_with_its_blocks_and_published(client: Client) -> None:
    """A client writes a page with blocks, and nobody sees it before it is published."""
    section = cast.section()
    client.force_login(cast.staff(*WRITER, "publish_page"))
    body = {
        "title": "Low water",
        "section": section.slug,
        "tags": ["b", "a", "b"],
        "blocks": [TEXT, {"type": "code", "data": {"code": "x"}}],
    }
    made = send(client, "post", PAGES, body)
    assert made.status_code == 201, made.json()
    page = made.json()
    assert page["tags"] == ["a", "b"] and [block["type"] for block in page["blocks"]] == ["richtext", "code"]
    assert Client().get(f"{PAGES}{page['token']}/").status_code == 404
    assert send(client, "post", f"{PAGES}{page['token']}/publish/").json()["address"] == f"/{section.slug}/{page['slug']}"
    assert Client().get(f"{PAGES}{page['token']}/").json()["title"] == "Low water"
    assert Publication.objects.get().author == "grace"
    assert send(client, "post", f"{PAGES}{page['token']}/unpublish/").json()["published"] is False
    assert Client().get(f"{PAGES}{page['token']}/").status_code == 404


def test_publishing_takes_its_own_permission() -> None:
    """Who may change pages may not therefore publish or unpublish them."""
    page, client = cast.draft(), client_of(*WRITER)
    for verb in ("publish", "unpublish"):
        problem = send(client, "post", f"{PAGES}{page.token}/{verb}/")
        assert (problem.status_code, problem.json()["code"]) == (403, "permission_denied")
    assert not Publication.objects.exists()


def test_public_page_is_deleted_only_by_who_may_unpublish() -> None:
    """Deleting takes a page down, and so takes the permission to do that."""
    page, client = cast.published(), client_of(*WRITER)
    assert client.delete(f"{PAGES}{page.token}/").status_code == 403
    assert client.delete(f"{PAGES}{cast.draft('Other').token}/").status_code == 204


def test_blocks_are_changed_in_place() -> None:
    """Blocks named by token keep their rows; new ones come between; those left out are deleted."""
    page, client = cast.draft(), client_of(*WRITER)
    first = page.blocks.get()
    last = Block.objects.create(parent=page, type="quote", data={"html": "q"}, ordering="k")
    gone = Block.objects.create(parent=page, type="quote", data={"html": "gone"}, ordering="t")
    blocks = [
        {"token": first.token, "type": "richtext", "data": first.data},
        {"type": "code", "data": {"code": "new"}},
        {"token": last.token, "type": "quote", "data": {"html": "changed"}},
    ]
    answer = send(client, "patch", f"{PAGES}{page.token}/", {"blocks": blocks})
    assert answer.status_code == 200, answer.json()
    rows = list(page.blocks.all())
    assert [row.data for row in rows] == [first.data, {"code": "new"}, {"html": "changed"}]
    assert [rows[0].token, rows[2].token] == [first.token, last.token] and rows[2].ordering == "k"
    assert not Block.objects.filter(token=gone.token).exists()


def test_moved_block_writes_no_other_row() -> None:
    """Moving one block gives one new key, so that others who move blocks elsewhere are not disturbed."""
    assert order(["a", "b", "c"]) == ["a", "b", "c"]
    moved = order(["b", "c", "a"])
    assert moved[:2] == ["b", "c"] and moved == sorted(moved)
    added = order([None, "b", None, None, "c", None])
    assert [added[1], added[4]] == ["b", "c"] and added == sorted(set(added))


def test_block_of_another_page_cannot_be_taken() -> None:
    """A token of a block elsewhere, or one named twice, is refused, and nothing is written."""
    page, other, client = cast.draft(), cast.draft("Other"), client_of(*WRITER)
    stolen = {"token": other.blocks.get().token, **TEXT}
    twice = {"token": page.blocks.get().token, **TEXT}
    for blocks in ([stolen], [twice, twice]):
        assert send(client, "patch", f"{PAGES}{page.token}/", {"title": "No", "blocks": blocks}).status_code == 400
    page.refresh_from_db()
    assert page.title == "Low water" and other.blocks.count() == 1


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"titel": "x"}, "titel", "unknown_field"),
        ({"slug": "x"}, "slug", "read_only"),
        ({"title": ""}, "title", "blank"),
        ({"section": "nowhere"}, "section", "does_not_exist"),
        ({"image": "nothing"}, "image", "does_not_exist"),
        ({"blocks": [{"type": "hologram"}]}, "blocks.0.type", "invalid_choice"),
        ({"blocks": [TEXT, {"type": "code", "data": {"kode": "x"}}]}, "blocks.1.data", "invalid"),
        ({"blocks": [{"type": "embed", "data": {"url": "javascript:x"}}]}, "blocks.0.data", "invalid"),
        ({"blocks": [{"type": "code", "data": {"code": "\0"}}]}, "blocks.0", "invalid"),
        ({"blocks": [{**TEXT, "style": "x"}]}, "blocks.0.style", "unknown_field"),
    ],
)
def test_wrong_value_is_refused_by_name(change: dict[str, Any], field: str, code: str) -> None:
    """What cannot be stored is refused with its field and a stable code, and nothing is written."""
    page, client = cast.draft(), client_of(*WRITER)
    problem = send(client, "patch", f"{PAGES}{page.token}/", change)
    assert problem.status_code == 400 and problem["Content-Type"] == "application/problem+json"
    assert problem.json()["errors"][0]["field"] == field and problem.json()["errors"][0]["code"] == code
    assert page.blocks.count() == 1


def test_markup_is_cleaned_when_written() -> None:
    """What could run never reaches the database."""
    page, client = cast.draft(), client_of(*WRITER)
    block = {"type": "richtext", "data": {"html": "<p onclick=x>kept</p><script>1</script>"}}
    send(client, "patch", f"{PAGES}{page.token}/", {"blocks": [block]})
    assert page.blocks.get().data == {"html": "<p>kept</p>"}


def test_change_without_difference_writes_nothing() -> None:
    """Sending what is stored already makes no change, and so no changeset."""
    page, client = cast.draft(), client_of(*WRITER)
    page.refresh_from_db()
    block = page.blocks.get()
    same = {"title": page.title, "blocks": [{"token": block.token, "type": block.type, "data": block.data}]}
    assert send(client, "patch", f"{PAGES}{page.token}/", same).status_code == 200
    updated = page.updated
    page.refresh_from_db()
    assert page.updated == updated


def test_body_is_bounded_in_size_and_depth() -> None:
    """A body too large gives 413, one nested too deep 400: neither costs memory or a crash."""
    client = client_of(*WRITER)
    large = client.post(PAGES, "x" * (3 << 20), content_type="application/json")
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    deep = client.post(PAGES, "[" * 100_000, content_type="application/json")
    assert (deep.status_code, deep.json()["code"]) == (400, "parse_error")


def test_basic_authentication_works_for_programs(client: Client) -> None:
    """A program says who it is with every request; a wrong password gives 401 with a challenge."""
    cast.staff("view_page")
    right, wrong = (base64.b64encode(f"grace:{word}".encode()).decode() for word in ("secret", "guess"))
    assert client.get(f"{PAGES}?draft=true", headers={"Authorization": f"Basic {right}"}).status_code == 200
    refused = client.get(f"{PAGES}?draft=true", headers={"Authorization": f"Basic {wrong}"})
    assert refused.status_code == 401 and refused["WWW-Authenticate"].startswith("Basic")


def test_session_is_guarded_against_forged_requests() -> None:
    """A browser's session writes nothing without the token of its own form."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.staff(*WRITER))
    assert send(client, "post", PAGES, {"title": "x"}).status_code == 403


def test_sections_are_kept_by_staff() -> None:
    """Staff make, rename and delete sections; one with pages stays; the public sees those with published pages."""
    client = client_of("view_section", "add_section", "change_section", "delete_section")
    made = send(client, "post", "/api/v1/sections/", {"title": "News"}).json()
    address = f"/api/v1/sections/{made['slug']}/"
    assert send(client, "patch", f"/api/v1/sections/{made['token']}", {"title": "Newest"}).json()["slug"] == made["slug"]
    assert client.get(address).status_code == 404 and client.get(f"{address}?draft=true").status_code == 200
    page = cast.published(section=Section.objects.get())
    assert Client().get("/api/v1/sections/").json()["results"][0]["address"] == f"/{made['slug']}"
    refused = client.delete(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    page.delete()
    assert client.delete(address).status_code == 204


@pytest.mark.parametrize("ordering", [1 << 31, -(1 << 31) - 1, 1 << 63, 1e300])
def test_an_ordering_that_not_every_database_holds_is_refused(ordering) -> None:
    """400 that names the field, instead of a section that stands elsewhere on other replicas."""
    client = client_of("view_section", "add_section", "change_section")
    refused = send(client, "post", "/api/v1/sections/", {"title": "News", "ordering": ordering})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "ordering")
    assert not Section.objects.exists()


@pytest.mark.parametrize("limit", [9223372036854775807, 10**30, 2000])
@pytest.mark.parametrize("listed", ["pages", "sections", "search"])
def test_a_list_is_never_longer_than_a_thousand(listed, limit, client: Client) -> None:
    """Whoever asks for more gets a page of that."""
    cast.published("Low water")
    answer = client.get(f"/api/v1/{listed}/?limit={limit}&offset=0&q=water")
    assert answer.status_code == 200 and answer.json()["count"] <= 1
    assert client.get(f"/api/v1/{listed}/?limit=2&offset={limit}&q=water").json()["results"] == []


def test_a_body_in_chunks_is_refused_instead_of_ignored() -> None:
    """Nobody would read it: 411 says so, where a change of nothing would have been confirmed."""
    page, client = cast.draft(), client_of(*WRITER)
    change = {"data": {"title": "x"}, "content_type": "application/json", "headers": {"Transfer-Encoding": "chunked"}}
    refused = client.patch(f"{PAGES}{page.token}/", **change)
    assert (refused.status_code, refused.json()["code"]) == (411, "length_required")
    page.refresh_from_db()
    assert page.title == "Low water"


def test_page_without_its_section_cannot_be_published() -> None:
    """Where the section has not arrived, publishing says so instead of making what nobody can see."""
    page, client = cast.draft(), client_of("publish_page")
    Page.objects.update(section_id="MASTER01-LON-43AX-7K2M9QXV-221126143015")
    problem = send(client, "post", f"{PAGES}{page.token}/publish/")
    assert (problem.status_code, problem.json()["code"]) == (409, "section_missing")


@pytest.mark.django_db(transaction=True)  # slugs are claimed when a transaction commits
def test_former_slugs_lead_to_the_current_ones(client: Client) -> None:
    """A page and a section that were renamed are found under their former slugs, in one permanent step."""
    page = cast.published("First name")
    section = page.section
    former = [f"{PAGES}{page.slug}", f"/api/v1/sections/{section.slug}/?format=json"]
    for row in (page, section):
        row.title = "Second name"
        row.renew_slug()
        row.save()
    publish(page)
    now = [f"{PAGES}{page.slug}", f"/api/v1/sections/{section.slug}?format=json"]
    answers = [client.get(address) for address in former]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(301, address) for address in now]
    assert [client.get(address).json()["title"] for address in now] == ["Second name"] * 2


@pytest.mark.django_db(transaction=True)
def test_former_slug_of_a_draft_tells_strangers_nothing(client: Client) -> None:
    """A page that is not public is not found by its former slug either, except by staff who ask for drafts."""
    page = cast.draft("First name")
    former = f"{PAGES}{page.slug}"
    page.title = "Second name"
    page.renew_slug()
    page.save()
    assert client.get(former).status_code == 404
    assert client.get(f"{former}?draft=true").status_code == 401
    client.force_login(cast.staff("view_page"))
    assert client.get(f"{former}?draft=true")["Location"] == f"{PAGES}{page.slug}?draft=true"

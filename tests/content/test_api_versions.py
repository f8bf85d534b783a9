"""Promises to clients that read, think, and write: versions merge, ETags refuse, and nothing is overwritten unseen."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from content.models import Block, Page
from content.publishing import in_order
from sync.models import Register
from tests.content import cast
from tests.content.disputes import dispute, edge
from tests.content.editing import make_asset, make_page, texts
from tests.content.test_editor_old_forms import versions
from tests.sync.origins import assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits
WRITER = ("view_page", "change_page", "delete_page", "view_section", "change_section", "view_asset", "change_asset")


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    cache.clear()
    yield
    assert_rows_follow_from_log()


@pytest.fixture
def client() -> Client:
    """A client whose user may write."""
    client = Client()
    client.force_login(cast.staff(*WRITER))
    return client


def where(row: Any) -> str:
    """Return the address of ``row``."""
    return f"/api/v1/{type(row)._meta.model_name}s/{row.pk}/"


def read(client: Client, row: Any) -> Any:
    """Return the draft of ``row``."""
    return client.get(where(row), {"draft": "true"})


def patch(client: Client, row: Any, body: dict[str, Any], **headers: str) -> Any:
    """Send ``body``."""
    return client.patch(where(row), body, content_type="application/json", headers=headers)


def put(client: Client, page: Page, body: dict[str, Any], **changes: Any) -> Any:
    """Send a whole page back as it was read, with ``changes``."""
    readable = ("token", "slug", "published", "created", "updated")
    whole = {name: value for name, value in body.items() if name not in readable} | changes
    return client.put(where(page), whole, content_type="application/json")


def test_what_is_sent_back_as_it_was_read_takes_nothing_back(client):
    """A client that puts a whole page changes what it changed, in fields, tags, keys of blocks and their order."""
    page = make_page(("quote", {"html": "<p>a</p>", "attribution": "A"}), *texts(2))
    old = read(client, page).json()
    mine = read(client, page).json()
    quote = mine["blocks"].pop(0)
    quote["data"]["html"] = "<p>theirs</p>"
    assert put(client, page, mine, title="Theirs", tags=["a", "c"], blocks=[*mine["blocks"], quote]).status_code == 200
    old["blocks"][0]["data"]["attribution"] = "B"
    answer = put(client, page, old, summary="mine", tags=["a", "b", "d"])
    assert answer.status_code == 200, answer.json()
    page.refresh_from_db()
    assert (page.title, page.summary, page.tags) == ("Theirs", "mine", ["a", "c", "d"])
    blocks = in_order(page.blocks.all())
    assert [block.type for block in blocks] == ["richtext", "richtext", "quote"]
    assert blocks[2].data == {"html": "<p>theirs</p>", "attribution": "B"}
    assert not Register.objects.filter(siblings=True).exists()
    assert answer.json()["title"] == "Theirs" and answer.json()["versions"] not in (old["versions"], mine["versions"])


def test_the_same_field_written_by_two_clients_is_kept_twice(client):
    """Neither knew of the other: both versions are in the register."""
    page = make_page(*texts(1), title="A")
    old = read(client, page).json()
    put(client, page, read(client, page).json(), title="Theirs")
    put(client, page, old, title="Mine")
    assert versions(Page.objects.get(), "title") == ["Mine", "Theirs"]


def test_a_text_that_was_read_merged_is_taken_as_it_was_read(client):
    """What two wrote into one text is read as one; who sends it back so writes nothing over what came since."""
    page = make_page(("richtext", {"html": "<p>one</p><p>two</p>"}), title="A")
    dispute(edge(), page.blocks.get(), "data/html", "<p>ONE</p><p>two</p>", "<p>one</p><p>TWO</p>")
    old = read(client, page).json()
    assert old["blocks"][0]["data"]["html"] == "<p>ONE</p><p>TWO</p>"
    put(client, page, read(client, page).json(), blocks=[{**old["blocks"][0], "data": {"html": "<p>theirs</p>"}}])
    assert put(client, page, old, title="B").status_code == 200
    assert versions(page.blocks.get(), "data/html") == ["<p>theirs</p>"]
    assert Page.objects.get().title == "B"


def test_a_client_that_sends_no_versions_writes_over_what_is_there(client):
    """It has named nothing that it had read, so it means the page as it is at that moment."""
    page = make_page(title="A")
    for title in ("B", "C"):
        assert patch(client, page, {"title": title}).status_code == 200
    assert versions(Page.objects.get(), "title") == ["C"]


def test_what_came_since_is_not_deleted_by_a_list_of_blocks_that_lacks_it(client):
    """A block that somebody added stays, and one that somebody edited too; what was left out knowingly goes."""
    page = make_page(*texts(3))
    old = read(client, page).json()
    mine = read(client, page).json()
    mine["blocks"][1]["data"]["html"] = "<p>edited</p>"
    put(client, page, mine, blocks=[*mine["blocks"], {"type": "quote", "data": {"html": "<p>added</p>"}}])
    put(client, page, old, blocks=old["blocks"][:1])
    assert [block.data["html"] for block in in_order(page.blocks.all())] == ["<p>0</p>", "<p>edited</p>", "<p>added</p>"]


def test_versions_sent_twice_are_no_conflict_with_oneself(client):
    """A request that is repeated, and one that goes on from the same reading, have seen what the first one wrote."""
    page = make_page(*texts(1), title="A")
    old = read(client, page).json()
    for title in ("B", "B", "C"):
        assert patch(client, page, {"title": title, "versions": old["versions"]}).status_code == 200
    assert versions(Page.objects.get(), "title") == ["C"]


@pytest.mark.parametrize("text", ["", "x", "a:b:c", 7, None, {"a": 1}])
def test_versions_that_this_replica_did_not_give_out_are_refused(client, text):
    """The problem names the field, and nothing is written."""
    page = make_page(title="A")
    problem = patch(client, page, {"title": "B", "versions": text})
    assert problem.status_code == 400 and problem.json()["errors"][0]["field"] == "versions"
    assert Page.objects.get().title == "A"


def test_if_match_refuses_what_was_changed_since(client):
    """A page is written, deleted or published as it was read, or not at all: 412, also when only a block has changed."""
    page = make_page(*texts(1), title="A")
    tag = read(client, page)["ETag"]
    assert patch(client, page, {"title": "B"}, **{"If-Match": tag}).status_code == 200
    assert patch(client, page, {"title": "C"}, **{"If-Match": tag}).json()["code"] == "precondition_failed"
    tag = read(client, page)["ETag"]
    block = Block.objects.get()
    block.data = {"html": "<p>other</p>"}
    block.save()
    assert patch(client, page, {"title": "C"}, **{"If-Match": f'"x", {tag}'}).status_code == 412
    assert client.delete(where(page), headers={"If-Match": tag}).status_code == 412
    assert Page.objects.get().title == "B"
    assert patch(client, page, {"title": "D"}, **{"If-Match": f'"x", {read(client, page)["ETag"]}'}).status_code == 200
    assert client.delete(where(page), headers={"If-Match": "*"}).status_code == 204


def test_the_answer_to_a_write_has_the_tag_for_the_next_one(client):
    """Who writes twice in a row need not read in between."""
    page = make_page(title="A")
    tag = patch(client, page, {"title": "B"})["ETag"]
    assert tag == read(client, page)["ETag"]
    assert patch(client, page, {"title": "C"}, **{"If-Match": tag}).status_code == 200


def test_sections_and_assets_do_likewise(client):
    """What two clients wrote into different fields is all there; the same field is kept twice, and If-Match refuses."""
    for row, first, second in ((make_page().section, "title", "description"), (make_asset(), "title", "alt")):
        old = read(client, row)
        versions_read = {"versions": old.json()["versions"]}
        assert patch(client, row, {first: "Theirs", second: "theirs"}).status_code == 200
        assert patch(client, row, {first: "Mine", second: old.json()[second], **versions_read}).status_code == 200
        row.refresh_from_db()
        assert versions(row, first) == ["Mine", "Theirs"] and getattr(row, second) == "theirs"
        assert patch(client, row, {first: "x"}, **{"If-Match": old["ETag"]}).status_code == 412


def test_readers_are_not_bothered_with_versions():
    """What is public has none."""
    page = cast.published("Low water")
    for address in (where(page), where(page.section)):
        answer = Client().get(address)
        assert answer.status_code == 200 and "versions" not in answer.json()

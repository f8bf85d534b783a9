"""Promises of forms that are older than what they write to: two tabs, or two editors, are like two replicas."""

import pytest

from content.models import Block, Page
from content.publishing import in_order
from sync.models import Register
from sync.registers import Batch, RowKey
from sync.status import status
from sync.values import Values
from tests.content.editing import address, form_of, make_asset, make_page, person, picture, save, texts

pytestmark = pytest.mark.django_db(transaction=True)  # changesets are made by commits


def versions(row, key):
    """Return what the heads of a register say, sorted."""
    batch, name = Batch(), RowKey(type(row)._meta.label_lower, row.pk)
    batch.load([name])
    return sorted(str(Values().value(name, key, dot)) for dot in batch.slots[name].row.heads[key])


def test_an_old_form_takes_back_nothing_that_others_changed():
    """Two tabs: what one of them changed stays when the other saves something else, in fields, keys and order."""
    page, client = make_page(("quote", {"html": "<p>a</p>", "attribution": "A"}), *texts(2)), person("editor")
    old = form_of(client, address(page))
    newer = form_of(client, address(page)) | {"title": "Newer", "tags": "x", "quote-0-html": "<p>newer</p>"}
    save(client, page, newer | {"quote-0-ordering": "99", "date": "2020-01-02T03:04"})
    save(client, page, old | {"summary": "Mine", "quote-0-attribution": "B"}, "_publish")
    page = Page.objects.get()
    assert (page.title, page.tags, page.summary, page.date.year) == ("Newer", ["x"], "Mine", 2020)
    blocks = in_order(page.blocks.all())
    assert [block.type for block in blocks] == ["richtext", "richtext", "quote"]
    assert blocks[2].data == {"html": "<p>newer</p>", "attribution": "B"}
    assert page.publication.title == "Newer" and page.publication.data["tags"] == ["x"]


def test_two_titles_from_two_tabs_are_both_kept():
    """Both tabs changed the title: both are in the register, the later one is shown, and its author is told."""
    page, client = make_page(), person("editor")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"title": "Theirs"})
    response = client.post(address(page), old | {"title": "Mine", "_publish": ""}, follow=True)
    assert (
        "Meanwhile changed elsewhere too: Title. What could not be merged is kept in both versions" in response.content.decode()
    )
    page = Page.objects.get()
    assert (page.title, page.publication.title) == ("Mine", "Mine")
    assert versions(page, "title") == ["Mine", "Theirs"]
    assert Register.objects.get(token=page.token).siblings


def test_the_same_block_from_two_tabs_is_kept_twice_key_by_key():
    """Both changed the words of a quote, one of them who said it: the words have two versions, the name has one."""
    page, client = make_page(("quote", {"html": "<p>a</p>", "attribution": "A"})), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"quote-0-html": "<p>theirs</p>", "quote-0-attribution": "B"})
    response = client.post(address(page), old | {"quote-0-html": "<p>mine</p>", "_save": ""}, follow=True)
    assert "Meanwhile changed elsewhere too: Quotation." in response.content.decode()
    block = page.blocks.get()
    assert block.data == {"html": "<p>mine</p>", "attribution": "B"}
    assert versions(block, "data/html") == ["<p>mine</p>", "<p>theirs</p>"]
    assert versions(block, "data/attribution") == ["B"]


def test_two_lead_images_from_two_tabs_are_both_kept():
    """One chose a picture, the other one uploaded one, neither knowing of the other."""
    page, client, chosen = make_page(), person("author"), make_asset()
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"picture": chosen.token})
    save(client, page, old | {"picture_upload": picture()})
    page.refresh_from_db()
    assert page.image.filename == "red.png"
    assert versions(page, "image_id") == sorted([chosen.token, page.image_id])


def test_tags_from_two_tabs_are_merged():
    """What either added is there, what either took away is gone, and nobody need decide."""
    page, client = make_page(), person("author")
    old = form_of(client, address(page))
    save(client, page, form_of(client, address(page)) | {"tags": "a, c"})
    response = client.post(address(page), old | {"tags": "a, b, d", "_save": ""}, follow=True)
    assert "Meanwhile" not in response.content.decode()
    assert Page.objects.get().tags == ["a", "c", "d"]


def test_the_same_change_from_two_tabs_is_one():
    """Two who wrote the same word agree: there is nothing to decide."""
    page, client = make_page(*texts(1)), person("author")
    old = form_of(client, address(page)) | {"title": "Same", "richtext-0-html": "<p>same</p>"}
    save(client, page, dict(old))
    save(client, page, old)
    assert (Page.objects.get().title, Block.objects.get().data) == ("Same", {"html": "<p>same</p>"})
    assert status()["conflicts"] == 0


def test_a_newer_form_leaves_nothing_to_decide():
    """Who saw the present version and changed it writes over it: one version is left."""
    page, client = make_page(*texts(1)), person("author")
    for word in ("one", "two"):
        save(client, page, form_of(client, address(page)) | {"title": word, "richtext-0-html": f"<p>{word}</p>"})
    assert versions(Page.objects.get(), "title") == ["two"]
    assert status()["conflicts"] == 0

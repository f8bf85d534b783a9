"""Saving writes what was changed, and nothing else."""

import json
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from content.models import Asset, Block, Page
from content.publishing import in_order
from sync import blobs
from tests.content.editing import ADD, add_block, address, form_of, make_asset, make_page, person, picture, save, texts

pytestmark = pytest.mark.django_db

ALL_KINDS = [
    ("richtext", {"html": "<h2>One</h2>\n<p>Two\nlines</p>\n", "from-elsewhere": 1}),
    ("image", {"alt": "Boats ", "caption": "<p>In <em>May</em></p>"}),
    ("quote", {"html": "<p>Yes</p>", "attribution": "Ada"}),
    ("code", {"code": "\n  def f():\n    return 1\n\n", "language": "python"}),
    ("table", {"rows": [["a", "b"], ["c", "d"]], "header": False, "caption": ""}),
    ("embed", {"url": "https://example.org/film"}),
    ("callout", {"html": "<p>Mind</p>"}),
]


def full_page():
    """Return a page with a block of each type, its image showing a stored asset, and a long-winded summary."""
    page = make_page(*ALL_KINDS)
    Block.objects.filter(type="image").update(data={**ALL_KINDS[1][1], "asset": make_asset().token})
    page.summary = "First line\nsecond line "
    page.save()
    return Page.objects.get(token=page.token)


def writes(queries):
    """Return the statements that change something."""
    verbs = ("INSERT", "UPDATE", "DELETE", "REPLACE")
    return [query["sql"][:120] for query in queries if query["sql"].lstrip().upper().startswith(verbs)]


def test_an_unchanged_save_writes_nothing_at_all():
    """Opening a page of all types and saving it touches no row, not even a log."""
    page, client = full_page(), person("editor")
    form = form_of(client, address(page))
    with CaptureQueriesContext(connection) as captured:
        save(client, page, form)
    assert writes(captured.captured_queries) == []
    assert Page.objects.get(token=page.token).updated == page.updated
    assert not LogEntry.objects.exists()


def test_only_the_changed_key_of_a_block_changes():
    """A new alternative text leaves caption, picture and keys of a later release as they are."""
    page, client = full_page(), person("editor")
    image = Block.objects.get(type="image")
    Block.objects.filter(token=image.token).update(data={**image.data, "focus": [1, 2]})
    form = form_of(client, address(page)) | {"image-0-alt": "Ships"}
    save(client, page, form)
    assert Block.objects.get(token=image.token).data == {**image.data, "focus": [1, 2], "alt": "Ships"}


def test_only_changed_columns_are_written():
    """A changed title writes title and time of the page and no block."""
    page, client = full_page(), person("editor")
    form = form_of(client, address(page)) | {"title": "Another"}
    with CaptureQueriesContext(connection) as captured:
        save(client, page, form)
    [update] = [sql for sql in writes(captured.captured_queries) if re.match(r'\w+ (INTO |FROM )?"content_', sql)]
    assert 'SET "title" =' in update and '"updated" =' in update and "slug" not in update and "summary" not in update


def test_a_changed_block_marks_its_page_as_changed():
    """The list can say that a page was changed since its publication, though only a block was."""
    page, client = make_page(*texts(1)), person("editor")
    save(client, page, form_of(client, address(page)) | {"richtext-0-html": "<p>new</p>"})
    assert Page.objects.get(token=page.token).updated > page.updated


def test_tags_are_stored_sorted_and_once():
    """Tags are a set, authors a list in the order shown."""
    page, client = make_page(), person("editor")
    save(client, page, form_of(client, address(page)) | {"tags": "zebra, ant,  zebra , bee", "authors": "Zoe, Ada"})
    page.refresh_from_db()
    assert page.tags == ["ant", "bee", "zebra"]
    assert page.authors == ["Zoe", "Ada"]


@pytest.mark.parametrize("start, wanted, moved", [("abcdef", "fabcde", "f"), ("abcdef", "bcdefa", "a"), ("abcd", "acbd", "b")])
def test_a_move_writes_the_moved_block_only(start, wanted, moved):
    """Whatever the form numbers, one block that moves is one row written."""
    page, client = make_page(*[("richtext", {"html": f"<p>{letter}</p>"}) for letter in start]), person("editor")
    before = {block.token: block.ordering for block in page.blocks.all()}
    form = form_of(client, address(page))
    for number, letter in enumerate(start):
        form[f"richtext-{number}-ordering"] = str(10 * (wanted.index(letter) + 1))
    save(client, page, form)
    after = in_order(page.blocks.all())
    assert "".join(block.data["html"][3] for block in after) == wanted
    changed = [block for block in after if before[block.token] != block.ordering]
    assert len(changed) == 1 and (len(start) == 4 or changed[0].data["html"][3] == moved)


def test_a_block_is_added_between_others_without_touching_them():
    """A new block takes a key between its neighbours'."""
    page, client = make_page(*texts(2)), person("editor")
    before = dict(page.blocks.values_list("token", "ordering"))
    form = form_of(client, address(page))
    add_block(form, "quote", position=15, html="<p>said</p>", attribution="Ada")
    save(client, page, form)
    blocks = in_order(page.blocks.all())
    assert [block.type for block in blocks] == ["richtext", "quote", "richtext"]
    assert blocks[1].data == {"html": "<p>said</p>", "attribution": "Ada"}
    assert {block.token: block.ordering for block in blocks if block.token in before} == before


def test_a_block_is_deleted():
    """A ticked block goes, its neighbours stay."""
    page, client = make_page(*texts(3)), person("author")
    save(client, page, form_of(client, address(page)) | {"richtext-1-DELETE": "on"})
    assert [block.data["html"] for block in in_order(page.blocks.all())] == ["<p>0</p>", "<p>2</p>"]


def test_a_new_block_that_nobody_filled_in_is_not_stored():
    """An empty place to write leaves no empty block behind, and need not be valid."""
    page, client = make_page(), person("author")
    form = form_of(client, address(page))
    for kind in ("richtext", "image", "embed", "table"):
        add_block(form, kind, html="<p></p>", rows="[]", header="on")
    save(client, page, form)
    assert not page.blocks.exists()


def test_all_types_of_block_are_stored_clean():
    """Each form stores what its block type describes, without markup that could run."""
    page, client, asset = make_page(), person("author"), make_asset()
    form = form_of(client, address(page))
    add_block(form, "richtext", 10, html='<h2>Hi</h2><p onclick="x()">there<script>x()</script></p>')
    add_block(form, "image", 20, asset=asset.token, alt="Boats", caption="<p>May</p>")
    add_block(form, "code", 30, code="  x = 1\r\n", language="python")
    add_block(form, "table", 40, rows='[["a", "b"], ["c"], ["", ""]]', header="on", caption="T")
    add_block(form, "embed", 50, url="https://example.org/film", title="Film")
    add_block(form, "callout", 60, html="<p>Mind</p>", tone="tip")
    save(client, page, form)
    assert [(block.type, block.data) for block in in_order(page.blocks.all())] == [
        ("richtext", {"html": "<h2>Hi</h2><p>there</p>"}),
        ("image", {"asset": asset.token, "alt": "Boats", "caption": "<p>May</p>"}),
        ("code", {"code": "  x = 1\n", "language": "python"}),
        ("table", {"rows": [["a", "b"], ["c", ""]], "header": True, "caption": "T"}),
        ("embed", {"url": "https://example.org/film", "title": "Film"}),
        ("callout", {"html": "<p>Mind</p>", "tone": "tip"}),
    ]


def test_a_picture_is_uploaded_within_the_page():
    """The file becomes an asset with its size, its content a blob, and the block shows it."""
    page, client = make_page(), person("author")
    form = form_of(client, address(page))
    add_block(form, "image", upload=picture("old_harbour.png"), alt="Boats")
    save(client, page, form)
    asset = Asset.objects.get()
    assert (asset.title, asset.alt, asset.content_type) == ("old harbour", "Boats", "image/png")
    assert (asset.width, asset.height) == (8, 6)
    assert blobs.has(asset.digest)
    assert page.blocks.get().data["asset"] == asset.token


def test_a_lead_image_is_uploaded_chosen_and_removed():
    """The page's own picture follows the form."""
    page, client, asset = make_page(), person("author"), make_asset()
    form = form_of(client, address(page))
    save(client, page, form | {"picture_upload": picture()})
    page.refresh_from_db()
    assert page.image.filename == "red.png"
    for token in (asset.token, ""):
        save(client, page, form_of(client, address(page)) | {"picture": token})
        page.refresh_from_db()
        assert (page.image_id or "") == token


@pytest.mark.parametrize(
    "kind, values",
    [
        ("embed", {"url": "javascript:alert(1)"}),
        ("embed", {"url": "http://example.org"}),
        ("image", {"alt": "no picture"}),
        ("image", {"asset": "MASTER01-LON-00AA-00000000-010126000000"}),
        ("table", {"rows": "{"}),
        ("callout", {"html": "<p>x</p>", "tone": "shout"}),
    ],
)
def test_what_cannot_be_shown_is_refused_and_nothing_is_written(kind, values):
    """A form with a mistake comes back with the mistake, and changes no row."""
    page, client = make_page(), person("author")
    form = form_of(client, address(page)) | {"title": "Never stored"}
    add_block(form, kind, **values)
    response = client.post(address(page), form | {"_save": ""})
    assert response.status_code == 200
    assert response.context["errors"]
    page.refresh_from_db()
    assert page.title == "Example page" and not page.blocks.exists()


def test_a_file_that_is_no_picture_is_refused():
    """Neither a script in disguise nor a page with a drawing in it becomes a picture."""
    page, client = make_page(), person("author")
    for name, content in (("x.png", b"<script>"), ("x.svg", b"<html><svg xmlns='http://www.w3.org/2000/svg'/></html>")):
        upload = picture(name)
        upload.file.seek(0)
        upload.file.truncate()
        upload.file.write(content)
        form = form_of(client, address(page))
        add_block(form, "image", upload=upload)
        assert client.post(address(page), form | {"_save": ""}).status_code == 200
    assert not Asset.objects.exists()


def test_a_picture_that_has_not_arrived_here_stays_chosen():
    """An asset whose row is still on its way is kept when somebody edits the text beside it."""
    page, client = make_page(("image", {"asset": "EDGE01-LON-00AA-00000000-010126000000", "alt": "x"})), person("author")
    save(client, page, form_of(client, address(page)) | {"image-0-alt": "y"})
    assert page.blocks.get().data == {"asset": "EDGE01-LON-00AA-00000000-010126000000", "alt": "y"}


def test_a_block_that_was_deleted_elsewhere_is_named_and_not_made_anew():
    """Two editors, one of whom deleted: the other one's form says so."""
    page, client = make_page(*texts(2)), person("author")
    form = form_of(client, address(page))
    page.blocks.first().delete()
    response = client.post(address(page), form | {"_save": ""})
    assert "deleted elsewhere" in response.content.decode()
    assert page.blocks.count() == 1


def test_a_new_page_is_made_with_its_blocks_in_one_go():
    """The form for a new page stores everything and leads to the page's own address."""
    make_page()  # its section is offered first
    client = person("author")
    form = form_of(client, ADD) | {"title": "Fresh"}
    add_block(form, "richtext", html="<p>hello</p>")
    response = client.post(ADD, form | {"_save": ""})
    page = Page.objects.get(title="Fresh")
    assert response.headers["Location"] == address(page)
    assert page.blocks.get().data == {"html": "<p>hello</p>"}
    assert page.publication_id is None


def test_the_slug_stays_until_it_is_asked_for_anew():
    """A new title keeps the address, until the editor asks for another."""
    page, client = make_page(), person("author")
    save(client, page, form_of(client, address(page)) | {"title": "Other"})
    assert Page.objects.get().slug == page.slug
    response = save(client, page, form_of(client, address(page)) | {"renew_slug": "on"})
    assert response.headers["Location"].endswith(f"/other-{page.slug[-4:]}")


def test_the_number_of_queries_does_not_grow_with_the_blocks():
    """Opening, saving unchanged, and saving with every block changed cost the same for 5 and for 30 blocks."""
    client = person("author")
    counts = []
    for number in (5, 30):
        image = ("image", {"asset": make_asset(f"{number}").token})
        page = make_page(*(texts(number) + [image] * number), title=f"With {number}")
        for _ in range(2):  # the first time fills caches of Django's
            with CaptureQueriesContext(connection) as opening:
                form = form_of(client, address(page))
        with CaptureQueriesContext(connection) as unchanged:
            save(client, page, form)
        for place in range(number):
            form[f"richtext-{place}-html"] = f"<p>{place} more</p>"
            form[f"richtext-{place}-ordering"] = str(1000 - place)
        with CaptureQueriesContext(connection) as changed:
            save(client, page, form)
        counts.append((len(opening), len(unchanged), len(changed)))
    assert counts[0] == counts[1]
    assert json.dumps([block.data for block in in_order(page.blocks.all())]).count("more") == 30

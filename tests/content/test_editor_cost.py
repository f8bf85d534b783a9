"""What the editor costs: queries that do not grow with the blocks, writes of what changed, and the same page for less work."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.db import connection, transaction
from django.forms.renderers import DjangoTemplates
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from content.admin.blocks import BlockInline
from content.editor import markup
from content.forms.renderer import INPUTS, PLAIN, PlainRenderer
from content.models import Page
from sync import log
from sync.models import Entry
from tests.content.editing import add_block, address, form_of, make_asset, make_page, person, save

BLOCKS = (
    ("richtext", {"html": "<p>text</p>"}),
    ("image", {"alt": "Boats", "caption": "<p>May</p>"}),
    ("quote", {"html": "<p>Yes</p>", "attribution": "Ada"}),
    ("code", {"code": "  x = 1\n", "language": "python"}),
    ("table", {"rows": [["a", "b"], ["c", "d"]], "header": True, "caption": "T"}),
    ("embed", {"url": "https://example.org/film", "title": "Film"}),
    ("callout", {"html": "<p>Mind</p>", "tone": "tip"}),
)


def long_page(count):
    """Return a page of ``count`` blocks of all types, texts foremost."""
    asset = make_asset(f"{count}").token
    kinds = [BLOCKS[(place + 1) // 2 % len(BLOCKS)] if place % 2 else BLOCKS[0] for place in range(count)]
    blocks = [(kind, {**data, "asset": asset} if kind == "image" else data) for kind, data in kinds]
    with transaction.atomic():
        return make_page(*blocks, title=f"With {count}")


def changed(form, word):
    """Return ``form`` with every text of every block changed."""
    names = re.compile(r"(richtext|image|quote|code|table|embed|callout)-\d+-(html|alt|code|caption|title)$")
    return form | {name: f"<p>{word} {name}</p>" for name in form if names.match(name)}


@pytest.mark.django_db
def test_opening_and_saving_cost_as_many_queries_for_2_as_for_100_blocks():
    """Opening, saving with nothing changed, with one block changed and with all changed: the number of blocks is no matter."""
    client = person("editor")
    found = {}
    for count in (2, 30, 100):
        page = long_page(count)
        form_of(client, address(page))  # the first time fills caches of Django's
        with CaptureQueriesContext(connection) as opening:
            form_of(client, address(page))
        costs = [len(opening)]
        for change in ({}, {"richtext-0-html": "<p>one</p>"}, None):
            form = form_of(client, address(page))
            sent = changed(form, "all") if change is None else form | change
            with CaptureQueriesContext(connection) as saving:
                save(client, page, sent)
            costs.append(len(saving))
        found[count] = costs
    assert found[2] == found[30] == found[100], found


@pytest.mark.django_db(transaction=True)
def test_a_save_of_one_block_is_one_changeset_of_one_value_and_updates_one_row():
    """What travels is the block's text and the page's time; what is written is these two rows."""
    client, page = person("editor"), long_page(30)
    form = form_of(client, address(page))
    token = form["richtext-4-token"]
    before = Entry.objects.count()
    with CaptureQueriesContext(connection) as saving:
        save(client, page, form | {"richtext-4-html": "<p>other</p>"})
    assert Entry.objects.count() == before + 1
    [*_, (_, changeset)] = log.scan()
    said = {(op.model, op.token): {write.key: write.value for write in op.writes} for op in changeset.head.ops}
    updated = Page.objects.get(pk=page.pk).updated
    assert said.pop(("content.page", page.pk)).keys() == {"updated"} and updated > page.updated
    assert said == {("content.block", token): {"data/html": "<p>other</p>"}}
    updates = [
        each["sql"] for each in saving.captured_queries if re.match(r'UPDATE "content_|INSERT INTO "content_', each["sql"])
    ]
    assert len(updates) == 2
    assert re.match(r'UPDATE "content_block" SET "data" = .* WHERE "content_block"."token" IN \(\S+\)$', updates[0])
    assert token in updates[0] and updates[0].count("MASTER01-LON") == 2
    assert re.match(r'UPDATE "content_page" SET "updated" = \'[^\']+\' WHERE', updates[1])


@pytest.mark.django_db
def test_a_page_of_very_many_blocks_is_opened_and_saved():
    """200 blocks are more inputs than Django takes unless it is told to."""
    client, page = person("editor"), long_page(200)
    form = form_of(client, address(page))
    assert len(form) > 1_000
    save(client, page, changed(form, "more"))
    assert all("more" in str(block.data) for block in page.blocks.all())


class Shown(HTMLParser):
    """What a form shows and sends: inputs with all their attributes, and the texts of labels, helps and mistakes."""

    def __init__(self, markup):
        super().__init__()
        self.inputs, self.texts, self.reading = set(), set(), None
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("input", "textarea", "select", "option", "button"):
            told = {"aria-describedby"} if values.get("type") == "hidden" else set()  # Django tells it of what nobody sees too
            self.inputs.add((tag, *sorted((name, value or "") for name, value in attrs if name not in told)))
        kinds = (values.get("class") or "").split()
        if tag == "label" or "help" in kinds or "errorlist" in kinds:
            self.reading = [tag, values.get("for") or values.get("id") or "", " ".join(sorted({*kinds})), ""]

    def handle_data(self, text):
        if self.reading:
            self.reading[-1] += text.strip()

    def handle_endtag(self, tag):
        if self.reading and tag in (self.reading[0], "li"):
            if self.reading[-1]:
                self.texts.add(tuple(self.reading))
            self.reading = None


@pytest.mark.django_db
@pytest.mark.parametrize("group", ["editor", "author"])
@pytest.mark.parametrize("broken", [False, True])
def test_pages_show_and_send_what_the_stock_templates_do(monkeypatch, group, broken):
    """Each input, label, help and mistake of Django's own templates is there, but for the keys of the page and labels nobody sees."""
    client, page = person(group), long_page(14)
    Page.objects.update(seo_title="<b>&", hidden_from_search=True)

    def shown():
        if not broken:
            return Shown(client.get(address(page)).content.decode())
        form = form_of(client, address(page)) | {
            "embed-0-url": "http://example.org",
            "image-0-asset": "",
            "title": "",
            "versions": "",
        }
        add_block(form, "embed", url="javascript:alert(1)")
        response = client.post(address(page), form)
        assert response.status_code == 200
        return Shown(response.content.decode())

    ours = shown()
    monkeypatch.setattr(BlockInline, "template", "admin/edit_inline/stacked.html")
    monkeypatch.setattr(markup, "fieldsets", lambda form, declared: [])
    stock = shown()
    varying = ("csrfmiddlewaretoken", "versions")

    def comparable(inputs):
        found = {each for each in inputs if dict(each[1:]).get("name") not in varying}
        return {each for each in found if not (dict(each[1:]).get("name") or "").endswith("-parent")}

    assert comparable(ours.inputs) == comparable(stock.inputs)
    unseen = re.compile(r"id_\w+-(\d+|__prefix__)-(region|ordering)$")
    assert ours.texts == {text for text in stock.texts if not unseen.match(text[1])}
    assert len(ours.texts) > 40


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["id", "class", "required", "maxlength", "data-x", "placeholder", "aria-describedby"]),
    st.one_of(st.booleans(), st.text(), st.integers()),
)
VALUES = st.one_of(st.none(), st.text(), st.integers(), st.booleans())


@given(st.sampled_from(INPUTS), st.text(), VALUES, ATTRIBUTES)
def test_inputs_are_rendered_as_djangos_templates_render_them(kind, name, value, attrs):
    """Whatever is in it, an input is the same to the last character."""
    widget = {"type": kind, "name": name, "value": value, "attrs": attrs}
    same(f"django/forms/widgets/{kind}.html", {"widget": widget})


@given(st.text(), VALUES, ATTRIBUTES)
def test_areas_are_rendered_as_djangos_templates_render_them(name, value, attrs):
    """So are inputs of several lines."""
    same("django/forms/widgets/textarea.html", {"widget": {"name": name, "value": value, "attrs": attrs}})


@given(st.text(), st.one_of(st.none(), ATTRIBUTES), st.sampled_from(["label", "legend"]), st.booleans())
def test_labels_are_rendered_as_djangos_templates_render_them(label, attrs, tag, use_tag):
    """So are labels."""
    same("django/forms/label.html", {"label": label, "attrs": attrs, "tag": tag, "use_tag": use_tag, "field": None})


@given(st.lists(st.text(), max_size=3))
def test_lists_of_errors_are_rendered_as_djangos_templates_render_them(errors):
    """So are mistakes, and that there are none."""
    same("django/forms/errors/list/ul.html", {"errors": errors, "error_class": "errorlist"})


def same(template, context):
    """Assert that the renderer gives what Django's gives."""
    assert template in PLAIN
    assert PlainRenderer().render(template, context) == DjangoTemplates().render(template, context)

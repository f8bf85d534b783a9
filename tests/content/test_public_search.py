"""Promises of search."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from content.blocks import TYPES
from content.public.search import search, shown
from content.rendering import TEMPLATES, render_page
from tests.content import cast

pytestmark = pytest.mark.django_db


def titles(query: str) -> list[str]:
    return [publication.title for publication, _ in shown(search(query))]


def test_every_word_must_occur_somewhere() -> None:
    """A page is found when title, summary, tags and text together hold every word, whatever the case."""
    cast.published("Ferries", summary="Late again", html="<p>The <b>harbour</b> waits.</p>", tags=["tide"])
    cast.published("Ferries on time", html="<p>Nothing else.</p>")
    assert titles("HARBOUR late ferries tide") == ["Ferries"]
    assert titles("harbour time") == []


def test_title_comes_first_then_the_newest() -> None:
    """Words in the title weigh more than words in the text; among equals the newest comes first."""
    for year, title, html in [(2020, "Lamp", ""), (2021, "Old", "lamp"), (2022, "New", "lamp"), (2019, "The lamp", "")]:
        cast.published(title, html=f"<p>{html}</p>", date=datetime(year, 1, 1, tzinfo=UTC))
    assert titles("lamp") == ["Lamp", "The lamp", "New", "Old"]


@pytest.mark.parametrize("word", ["Ærø", "ærø", "海", "R&D", "50%", "a_b", '"quoted"', "c:\\path"])
def test_letters_of_all_kinds_are_found(word: str) -> None:
    """Letters beyond ASCII and signs that mean something to HTML, JSON or SQL are found as they are read."""
    cast.published("Other", html="<p>R and D 50 acb</p>")
    cast.published("Isles", html="<p>Ærø 海 R&amp;D 50% a_b &quot;quoted&quot; c:\\path</p>")
    assert titles(word) == ["Isles"]


def test_markup_is_not_text() -> None:
    """The names of tags and keys are found in no page."""
    cast.published(html="<p><strong>x</strong></p>")
    assert titles("strong") == titles("html") == titles("richtext") == []


@pytest.mark.parametrize("query", ["", "   ", "\0", "%", "x" * 5000, "' OR 1=1 --"])
def test_odd_queries_break_nothing(client: Client, query: str) -> None:
    """Whatever is typed, the search answers."""
    cast.published()
    assert client.get("/search", {"q": query, "page": "x"}).status_code == 200


def test_query_is_shown_as_text(client: Client) -> None:
    """What was typed cannot become markup."""
    assert "<script>alert" not in client.get("/search", {"q": "<script>alert(1)"}).content.decode()


def test_every_block_type_has_a_template() -> None:
    """No type of block can be written that cannot be shown."""
    assert set(TEMPLATES) == set(TYPES)


def test_preview_says_so_and_is_kept_from_search_engines() -> None:
    """A preview cannot be taken for the public page."""
    html = render_page({"title": "Draft", "blocks": []}, address="/a/b", preview=True)
    assert "this is the draft" in html and "noindex" in html


def test_embed_is_a_link_that_asks_nobody() -> None:
    """An embed shows title and host and loads nothing from there."""
    block = {"type": "embed", "data": {"url": "https://www.video.example/1", "title": "A film"}}
    html = render_page({"title": "x", "blocks": [block]}, address="/a/b")
    assert '<a href="https://www.video.example/1"' in html and "<iframe" not in html and "video.example</span>" in html

"""A site of many published pages, the same text for every contestant: about 6 KB of HTML each."""

from __future__ import annotations

import random
from collections.abc import Iterator

PARAGRAPHS = 5
PARAGRAPH = 700  # bytes


def texts(count: int, seed: int = 3) -> Iterator[tuple[str, list[str]]]:
    """Yield ``count`` times a title and the paragraphs of a page."""
    dice = random.Random(seed)
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 10))) for _ in range(4_000)]
    for _ in range(count):
        title = " ".join(dice.choices(words, k=5)).capitalize()
        yield title, [" ".join(dice.choices(words, k=PARAGRAPH // 5))[:PARAGRAPH] for _ in range(PARAGRAPHS)]


def publish(count: int) -> None:
    """Write and publish ``count`` pages in this replica. Prints their addresses."""
    from django.db import connection, transaction

    from content.models import Block, Page, Section
    from content.publishing import publish as make_public

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")  # making them is not measured
    section = Section.objects.create(title="News")
    for title, paragraphs in texts(count):
        with transaction.atomic():
            page = Page.objects.create(title=title, section=section)
            for number, text in enumerate(paragraphs):
                Block.objects.create(parent=page, type="richtext", ordering=f"V{number}", data={"html": f"<p>{text}</p>"})
            print(make_public(page).get_absolute_url())

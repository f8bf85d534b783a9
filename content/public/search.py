"""Search over what is published. The database finds candidates, Python decides, so that both databases answer alike.

Texts in JSON are compared as the database stores them, where letters beyond ASCII may be escaped: the database narrows
by words of plain letters only, and every candidate is then checked against its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from content.blocks import TYPES, text_of
from content.models import Publication
from content.public.published import publications
from content.public.snapshots import head, raw_blocks

MAX_QUERY = 200  # characters
MAX_WORDS = 10
MAX_CANDIDATES = 2000  # publications read for one search, the newest first
PLAIN = re.compile(r"[a-z0-9]+")
READ = {"html", "alt", "caption", "attribution", "code", "rows", "title"}  # keys of a block's data that hold what is read


class Hit(NamedTuple):
    """One page that has every word, with a passage around the first. Shown with its publication by ``shown``."""

    token: str  # of the publication
    passage: str
    rank: int  # 0: all words in the title, 1: all in title, summary and tags, 2: somewhere


def search(query: str) -> list[Hit]:
    """Return the published pages that hold every word of ``query``: those with the words in the title first, then newest."""
    words = split(query)
    if not words:
        return []
    rows = candidates(words).values_list("token", "title", "data")[:MAX_CANDIDATES]
    hits = (match(token, title, data, words) for token, title, data in rows)
    return sorted((hit for hit in hits if hit), key=lambda hit: hit.rank)


def shown(hits: Iterable[Hit]) -> list[tuple[Publication, Hit]]:
    """Return each of ``hits``, which are few, with its publication; without those that are public no longer. One query."""
    some = list(hits)
    found = publications().in_bulk([hit.token for hit in some])
    return [(found[hit.token], hit) for hit in some if hit.token in found]


def split(query: str) -> list[str]:
    """Return the words of ``query``, folded, each once."""
    return list(dict.fromkeys(fold(query[:MAX_QUERY]).replace("\0", " ").split()))[:MAX_WORDS]


def fold(text: str) -> str:
    """Return ``text`` as it is compared: case aside, and one form for letters that Unicode can write in two ways."""
    return unicodedata.normalize("NFC", text).casefold()


def candidates(words: Iterable[str]) -> QuerySet[Publication]:
    """Return the publications that may hold all ``words``, newest first: a superset, by what the database can tell."""
    found = publications().annotate(stored=Cast("data", TextField()))
    for word in words:
        if PLAIN.fullmatch(word):
            found = found.filter(Q(stored__icontains=word) | Q(title__icontains=word))
    return found


def match(token: str, title: str, data: Any, words: list[str]) -> Hit | None:
    """Return how the publication ``token`` holds every one of ``words``, or None."""
    facts = head(data)
    about = " ".join([facts["summary"], *facts["tags"], *facts["authors"]])
    body = " ".join(block_text(block) for block in raw_blocks(data))
    for rank, text in enumerate(map(fold, (title, f"{title} {about}", f"{title} {about} {body}"))):
        if all(word in text for word in words):
            return Hit(token, passage(facts["summary"] if rank < 2 else body, words), rank)
    return None


def block_text(block: Mapping[str, Any]) -> str:
    """Return what is read in one block. It is not cleaned, since cleaning takes longer than searching: show it as text."""
    data = block.get("data")
    kind = TYPES.get(str(block.get("type")))
    values = [data.get(key) for key in kind.clean if key in READ] if kind and isinstance(data, Mapping) else []
    rows = [cell for value in values if isinstance(value, list) for row in value if isinstance(row, list) for cell in row]
    return " ".join(text_of(value) for value in [*values, *rows] if isinstance(value, str))


def passage(text: str, words: list[str], length: int = 200) -> str:
    """Return about ``length`` characters of ``text`` around the first of ``words``."""
    place = min((at for at in (fold(text).find(word) for word in words) if at >= 0), default=0)
    start = max(0, place - length // 3)
    start = text.find(" ", start) + 1 if start else 0
    cut = text[start : start + length]
    return ("… " if start else "") + (cut if start + length >= len(text) else cut.rsplit(" ", 1)[0] + " …")

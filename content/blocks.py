"""The types of block: what their data holds, how it is made safe, how it is named in the editor.

``data`` of a block by type (every value is text unless said otherwise, every key may be absent):

- ``richtext``: ``html``
- ``image``: ``asset`` (token of an Asset), ``alt``, ``caption`` (html)
- ``quote``: ``html``, ``attribution``
- ``code``: ``code``, ``language``
- ``table``: ``rows`` (list of lists of text), ``header`` (bool: the first row is one), ``caption``
- ``embed``: ``url`` (https), ``title``
- ``callout``: ``html``, ``tone`` (``note``, ``tip`` or ``warning``)
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nh3

TAGS = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "dd", "del", "dl", "dt", "em", "h2", "h3", "h4", "hr", "i", "ins",
    "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "small", "strong", "sub", "sup", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "abbr": {"title"}, "ol": {"start"}, "h2": {"id"}, "h3": {"id"}, "h4": {"id"}}
TONES = ("note", "tip", "warning")

_cleaner = nh3.Cleaner(tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel"}, link_rel=None)


def clean_html(markup: Any) -> str:
    """Return ``markup`` with nothing left that could run or reach outside: only the tags and attributes of this module."""
    return _cleaner.clean(str(markup))


def text_of(markup: str) -> str:
    """Return the plain text of ``markup``, white space folded."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def _clean_url(value: Any) -> str:
    return value if isinstance(value, str) and value.startswith("https://") else ""


def _clean_rows(value: Any) -> list[list[str]]:
    rows = value if isinstance(value, list) else []
    return [[str(cell) for cell in row] for row in rows if isinstance(row, list)]


def _clean_tone(value: str) -> str:
    return value if value in TONES else TONES[0]


@dataclass(frozen=True, slots=True)
class BlockType:
    """One type of block: ``clean`` maps each key of its data to the function that makes the value safe."""

    name: str
    label: str
    clean: Mapping[str, Callable[[Any], Any]]
    summary: str  # the key whose text names the block in lists


TYPES: dict[str, BlockType] = {
    kind.name: kind
    for kind in (
        BlockType("richtext", "Text", {"html": clean_html}, "html"),
        BlockType("image", "Image", {"asset": str, "alt": str, "caption": clean_html}, "alt"),
        BlockType("quote", "Quote", {"html": clean_html, "attribution": str}, "html"),
        BlockType("code", "Code", {"code": str, "language": str}, "code"),
        BlockType("table", "Table", {"rows": _clean_rows, "header": bool, "caption": str}, "caption"),
        BlockType("embed", "Embed", {"url": _clean_url, "title": str}, "title"),
        BlockType("callout", "Callout", {"html": clean_html, "tone": _clean_tone}, "html"),
    )
}


def clean_data(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known keys of ``data``, each made safe to show. An unknown type yields nothing to show."""
    if kind not in TYPES:
        return {}
    return {key: clean(data[key]) for key, clean in TYPES[kind].clean.items() if data.get(key) is not None}


def describe(kind: str, data: Mapping[str, Any]) -> str:
    """Return one short line that names a block: its label and the beginning of its text."""
    if kind not in TYPES:
        return kind
    text = text_of(str(data.get(TYPES[kind].summary) or ""))
    return f"{TYPES[kind].label}: {text[:60]}" if text else TYPES[kind].label


def plain_text(kind: str, data: Mapping[str, Any]) -> str:
    """Return all text of a block, for search."""
    values = clean_data(kind, data)
    rows = values.pop("rows", [])
    cells = [cell for row in rows for cell in row]
    values.pop("asset", None)
    return " ".join(text_of(str(value)) for value in [*values.values(), *cells] if isinstance(value, str))

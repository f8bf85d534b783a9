"""How a page is shown: one table from block type to template, folded over the blocks of a snapshot.

Everything that is shown was cleaned when it was saved and is cleaned again here, because rows also arrive by replication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.safestring import SafeString, mark_safe

from content.blocks import clean_data
from content.models import Section
from content.public import chrome

TEMPLATES: dict[str, str] = {
    "richtext": "content/blocks/richtext.html",
    "image": "content/blocks/image.html",
    "quote": "content/blocks/quote.html",
    "code": "content/blocks/code.html",
    "table": "content/blocks/table.html",
    "embed": "content/blocks/embed.html",
    "callout": "content/blocks/callout.html",
}
MARKUP = ("html", "caption")  # keys whose value clean_data has made safe markup; a table's caption is text


def render_page(
    snapshot: Mapping[str, Any],
    *,
    address: str,
    request: HttpRequest | None = None,
    preview: bool = False,
    section: Section | None = None,
    date: datetime | None = None,
    modified: datetime | None = None,
) -> str:
    """Return the whole HTML document of one page.

    ``snapshot`` is as ``content.publishing.snapshot`` makes it; ``address`` is the public path (``/section/page``).
    ``section``, ``date`` and ``modified`` (aware times) are shown where they are known. A preview says so on the page, names
    the user of ``request``, and is kept from search engines. Never fails for what a snapshot holds: what cannot be shown is
    left out.
    """
    title = str(snapshot.get("title") or "")
    summary = str(snapshot.get("summary") or "")
    image = picture(snapshot.get("image"))
    context = {
        **chrome.context(address),
        "title": title,
        "seo_title": str(snapshot.get("seo_title") or title),
        "description": str(snapshot.get("seo_description") or strip_tags(summary))[:320],
        "summary": summary,
        "tags": texts(snapshot.get("tags")),
        "authors": texts(snapshot.get("authors")),
        "image": image,
        "share_image": image,
        "noindex": preview or bool(snapshot.get("hidden_from_search")),
        "blocks": render_blocks(snapshot.get("blocks")),
        "section": section,
        "date": date,
        "modified": modified,
        "preview": preview,
        "viewer": getattr(request, "user", None) if preview else None,
        "article": True,
    }
    context["linked_data"] = chrome.linked_data(context)
    return render_to_string("content/site/page.html", context)


def render_blocks(blocks: Any) -> list[SafeString]:
    """Return the HTML of each block that can be shown, in order."""
    items = blocks if isinstance(blocks, list) else []
    return [render_block(item) for item in items if isinstance(item, Mapping)]


def render_block(block: Mapping[str, Any]) -> SafeString:
    """Return the HTML of one block ({``type``, ``data``}); a comment for a type that is not known here."""
    kind, data = str(block.get("type")), block.get("data")
    if kind not in TEMPLATES:
        return mark_safe("<!-- a block of a type unknown here -->")
    raw = data if isinstance(data, Mapping) else {}
    prepare = PREPARE.get(kind, _markup)
    return render_to_string(TEMPLATES[kind], prepare(clean_data(kind, raw), raw))


def picture(asset: Any) -> dict[str, Any] | None:
    """Return ``url``, ``alt``, ``width``, ``height`` of an asset in a snapshot, or None for what is no picture of ours."""
    if not isinstance(asset, Mapping) or not str(asset.get("url")).startswith("/media/"):
        return None
    size = {key: asset.get(key) if isinstance(asset.get(key), int) else None for key in ("width", "height")}
    return {"url": asset["url"], "alt": str(asset.get("alt") or ""), **size}


def texts(value: Any) -> list[str]:
    """Return the texts of a list, nothing for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _markup(data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: mark_safe(value) if key in MARKUP else value for key, value in data.items()}  # noqa: S308 - cleaned


def _image(data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    file = picture(raw.get("file"))
    return {**_markup(data, raw), "file": file, "alt": data.get("alt") or (file or {}).get("alt", "")}


def _table(data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    rows = data.get("rows", [])
    split = 1 if data.get("header") and rows else 0
    return {"caption": data.get("caption"), "head": rows[:split], "rows": rows[split:]}


def _embed(data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        host = urlsplit(data.get("url", "")).hostname or ""
    except ValueError:
        host = ""
    return {**data, "host": host.removeprefix("www.")}


PREPARE: dict[str, Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "image": _image,
    "table": _table,
    "embed": _embed,
}

"""How a page is shown: one table from block type to template, folded over the blocks of a snapshot.

Everything that is shown was cleaned when it was saved and is cleaned again here, because rows also arrive by replication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from content.models import Section
from content.public import chrome
from content.public.snapshots import normal
from content.renditions import responsive

TEMPLATES: dict[str, str] = {
    "richtext": "content/blocks/richtext.html",
    "image": "content/blocks/image.html",
    "quote": "content/blocks/quote.html",
    "code": "content/blocks/code.html",
    "table": "content/blocks/table.html",
    "embed": "content/blocks/embed.html",
    "callout": "content/blocks/callout.html",
}
OPENING = 2  # blocks that are seen together with the lead image
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
    shown = normal(snapshot)
    context = {
        **chrome.context(address),
        **shown,
        "seo_title": shown["seo_title"] or shown["title"],
        "description": (shown["seo_description"] or shown["summary"])[:320],
        "share_image": shown["image"],
        "lead": None if _shown_at_once(shown["image"], shown["blocks"]) else responsive(shown["image"]),
        "noindex": preview or shown["hidden_from_search"],
        "blocks": [render_block(block) for block in shown["blocks"]],
        "section": section,
        "date": date,
        "modified": modified,
        "preview": preview,
        "viewer": getattr(request, "user", None) if preview else None,
        "article": True,
    }
    context["linked_data"] = chrome.linked_data(context)
    return render_to_string("content/site/page.html", context)


def _shown_at_once(image: Mapping[str, Any] | None, blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the lead image stands among the first blocks too, where readers would see it twice in a row."""
    files = [block["data"].get("file") for block in blocks[:OPENING] if block["type"] == "image"]
    return image is not None and _digest(image) in [_digest(file) for file in files if file]


def _digest(picture: Mapping[str, Any]) -> str:
    """One content may have several names; the address holds its digest: ``/media/<digest>/<name>``."""
    return str(picture["url"]).split("/")[2]


def render_block(block: Mapping[str, Any]) -> SafeString:
    """Return the HTML of one block ({``type``, ``data``}), cleaned before; a comment for a type that is not known here."""
    kind, data = block["type"], block["data"]
    if kind not in TEMPLATES:
        return mark_safe("<!-- a block of a type unknown here -->")
    return render_to_string(TEMPLATES[kind], PREPARE.get(kind, _markup)(data))


def _markup(data: dict[str, Any]) -> dict[str, Any]:
    return {key: mark_safe(value) if key in MARKUP else value for key, value in data.items()}  # noqa: S308 - cleaned


def _image(data: dict[str, Any]) -> dict[str, Any]:
    return {**_markup(data), "file": responsive(data["file"]), "alt": data.get("alt") or (data["file"] or {}).get("alt", "")}


def _table(data: dict[str, Any]) -> dict[str, Any]:
    rows = data.get("rows", [])
    split = 1 if data.get("header") and rows else 0
    return {"caption": data.get("caption"), "head": rows[:split], "rows": rows[split:]}


def _embed(data: dict[str, Any]) -> dict[str, Any]:
    try:
        host = urlsplit(data.get("url", "")).hostname or ""
    except ValueError:
        host = ""
    return {**data, "host": host.removeprefix("www.")}


PREPARE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "image": _image,
    "table": _table,
    "embed": _embed,
}

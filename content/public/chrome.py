"""What stands around every public page: the name of the site, its sections, its stylesheet, its data for machines."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils.safestring import SafeString, mark_safe

from content.public.published import sections
from sync import conf


def context(address: str) -> dict[str, Any]:
    """Return what the templates of the site need everywhere; ``address`` is the path of the page shown. One query."""
    return {
        "site_name": settings.SITE_NAME,
        "language": settings.LANGUAGE_CODE,
        "address": address,
        "base": conf.url(),
        "canonical": conf.url() + address,
        "nav": list(sections()),
        "stylesheet": stylesheet_address(),
        "replica": conf.name(),
    }


@cache
def stylesheet() -> tuple[str, bytes]:
    """Return the digest (16 hex digits) and the content of the stylesheet. Read once: it changes with a release only."""
    content = Path(str(finders.find("content/site/site.css"))).read_bytes()
    return hashlib.sha256(content).hexdigest()[:16], content


def stylesheet_address() -> str:
    """Return the address of the stylesheet, which changes with its content, so that browsers may keep it for ever."""
    if settings.DEBUG:
        stylesheet.cache_clear()
    return f"/style/{stylesheet()[0]}.css"


def linked_data(page: dict[str, Any]) -> SafeString:
    """Return the JSON-LD of an article, safe inside a script element. It is data, so a content policy lets it be."""
    facts = {
        "@context": "https://schema.org",
        "@type": "Article",
        "headline": page["title"],
        "description": page["description"],
        "url": page["canonical"],
        "image": page["base"] + page["image"]["url"] if page["image"] else None,
        "datePublished": page["date"].isoformat() if page["date"] else None,
        "dateModified": page["modified"].isoformat() if page["modified"] else None,
        "author": [{"@type": "Person", "name": name} for name in page["authors"]],
    }
    text = json.dumps({key: value for key, value in facts.items() if value})
    escapes = {ord("<"): "\\u003C", ord(">"): "\\u003E", ord("&"): "\\u0026"}
    return mark_safe(text.translate(escapes))  # noqa: S308 - nothing is left that could end the script element

"""What programs read: the feed, the map of the site, the rules for robots, and the stylesheet."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.feedgenerator import Atom1Feed

from content.models import Publication
from content.public import chrome
from content.public.pages import public
from content.public.published import publications, sections
from content.public.snapshots import head
from sync import conf

FEED_LENGTH = 30
MAP_LENGTH = 20_000  # addresses in one map; the format allows 50,000


@public
def feed(request: HttpRequest) -> HttpResponse:
    """The latest publications as Atom. An entry is named by the page's token, so that a move makes no new entry."""
    base = conf.url()
    atom = Atom1Feed(
        settings.SITE_NAME, base + "/", "", settings.LANGUAGE_CODE, feed_url=f"{base}/feed", feed_guid=f"{base}/feed"
    )
    for item in publications()[:FEED_LENGTH]:
        shown = head(item.data)
        atom.add_item(
            title=item.title,
            link=base + item.get_absolute_url(),
            description=shown["summary"],
            author_name=", ".join(shown["authors"]) or settings.SITE_NAME,
            categories=shown["tags"],
            unique_id=f"urn:edgecms:{item.page_id}",
            pubdate=item.date,
            updateddate=item.made,
        )
    return HttpResponse(atom.writeString("utf-8"), "application/atom+xml; charset=utf-8")


@public
def sitemap(request: HttpRequest) -> HttpResponse:
    """The map: every public address that search engines may know; by parts (``p``), with an index, where it is long."""
    pages = Paginator(_mapped(), MAP_LENGTH)
    context: dict[str, Any] = {"base": conf.url(), "parts": []}
    if pages.num_pages > 1 and "p" not in request.GET:
        context["parts"] = list(pages.page_range)
    else:
        part = pages.get_page(request.GET.get("p"))
        context |= {"pages": part, "sections": sections() if part.number == 1 else [], "first": part.number == 1}
    return HttpResponse(render_to_string("content/site/sitemap.xml", context), "application/xml")


def _mapped() -> QuerySet[Publication]:
    return publications().exclude(Q(data__hidden_from_search=True)).defer("data").order_by("token")


@public
def robots(request: HttpRequest) -> HttpResponse:
    """Everybody may read what is public."""
    lines = ["User-agent: *", "Disallow: /admin/", "Disallow: /search", f"Sitemap: {conf.url()}/sitemap.xml", ""]
    return HttpResponse("\n".join(lines), "text/plain")


@public
def style(request: HttpRequest, digest: str) -> HttpResponse:
    """The stylesheet; kept for ever under its own digest. A page of another release still gets the one that is here."""
    current, content = chrome.stylesheet()
    keep = {"Cache-Control": "public, max-age=31536000, immutable"} if digest == current else {}
    return HttpResponse(content, "text/css; charset=utf-8", headers=keep)

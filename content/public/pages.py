"""The pages of the public site: each view finds what is published, hands it to a template, and says how it may be kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response, set_response_etag
from django.utils.http import http_date, parse_http_date_safe
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from content import addresses
from content.models import Publication, Section
from content.pagecache.wsgi import KEEP
from content.public import chrome
from content.public.published import publications
from content.public.search import MAX_QUERY, search, shown
from content.public.snapshots import head
from content.rendering import render_page
from content.renditions import responsive

PER_PAGE = 20
# Kept by anybody, shown by nobody without asking whether it is still the same: a new publication shows at once.
FRESH = "public, max-age=0, must-revalidate"

View = Callable[..., HttpResponse]


def public(view: View) -> View:
    """Make ``view`` a public one: only read, compressed, with ETag and conditional answers, and cacheable for all alike."""

    @wraps(view)
    def fresh(request: HttpRequest, **arguments: Any) -> HttpResponse:
        response = view(request, **arguments)
        response.setdefault("Cache-Control", FRESH)
        request.META[KEEP] = response.status_code == 200 and response["Cache-Control"] == FRESH
        return _conditional(request, response) if response.status_code == 200 else response

    compressed = gzip_page(fresh)

    @wraps(view)
    def whole(request: HttpRequest, **arguments: Any) -> HttpResponse:
        response = compressed(request, **arguments)
        return _without_body(response) if request.method == "HEAD" else response

    return require_safe(whole)


def _conditional(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Name the content by its digest; 304 for who has it already."""
    set_response_etag(response)
    known = parse_http_date_safe(response["Last-Modified"]) if response.has_header("Last-Modified") else None
    return get_conditional_response(request, etag=response["ETag"], last_modified=known, response=response) or response


def _without_body(response: HttpResponse) -> HttpResponse:
    """The headers that GET would have."""
    response.setdefault("Content-Length", str(len(response.content)))
    response.content = b""
    return response


@public
def home(request: HttpRequest) -> HttpResponse:
    """The front page: what was published last, and the sections."""
    context = {**chrome.context("/"), "entries": entries(publications()[:10])}
    return HttpResponse(render_to_string("content/site/home.html", context))


@public
def find(request: HttpRequest) -> HttpResponse:
    """Search: ``q`` holds the words, ``page`` the number of the page of results."""
    query = request.GET.get("q", "")[:MAX_QUERY].strip()
    results = Paginator(search(query), PER_PAGE).get_page(request.GET.get("page"))
    hits = [{**entry(publication), "summary": hit.passage} for publication, hit in shown(results)]
    context = {**chrome.context("/search"), "query": query, "results": results, "entries": hits, "noindex": True}
    return HttpResponse(render_to_string("content/site/search.html", {**context, "seo_title": f"Search: {query}"}))


@public
def anything(request: HttpRequest, path: str) -> HttpResponse:
    """Every other address: a section, a page, or where that is now."""
    wanted = path.strip("/")
    found = addresses.resolve(wanted)
    if isinstance(found, Publication | Section) and path != wanted:
        found = addresses.Moved(found.get_absolute_url())
    match found:
        case Publication():
            return page(request, found)
        case Section():
            return section(request, found)
        case addresses.Moved(to):
            query = request.META.get("QUERY_STRING")
            return HttpResponsePermanentRedirect(f"{to}?{query}" if query else to)
        case addresses.Gone():
            return apology(request, 410, "This page was taken down", "It was here once, and its editors have withdrawn it.")
    return missing(request)


def page(request: HttpRequest, publication: Publication) -> HttpResponse:
    """One published page."""
    address = publication.get_absolute_url()
    facts: dict[str, Any] = {"section": publication.section, "date": publication.date, "modified": publication.made}
    response = HttpResponse(render_page(publication.data, address=address, request=request, **facts))
    response["Last-Modified"] = http_date(publication.made.timestamp())
    return response


def section(request: HttpRequest, section: Section) -> HttpResponse:
    """The pages of one section, newest first; ``page`` is the number of the page of the list."""
    results = Paginator(publications().filter(section=section), PER_PAGE).get_page(request.GET.get("page"))
    address = section.get_absolute_url() + (f"?page={results.number}" if results.number > 1 else "")
    context = {
        **chrome.context(address),
        "section": section,
        "seo_title": section.title,
        "description": section.description[:320],
        "results": results,
        "entries": entries(results),
    }
    return HttpResponse(render_to_string("content/site/section.html", context))


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Nothing was ever here (404)."""
    return apology(request, 404, "There is no page here", "The address may be mistyped, or the page has never been public.")


def apology(request: HttpRequest, status: int, title: str, detail: str) -> HttpResponse:
    """A page that says why there is none, with a way on."""
    context = {**chrome.context(request.path), "seo_title": title, "title": title, "detail": detail, "status": status}
    html = render_to_string("content/site/apology.html", {**context, "missing": True, "noindex": True})
    return HttpResponse(html, status=status, headers={"Cache-Control": "no-cache"})


def entries(found: Any) -> list[dict[str, Any]]:
    """Return what a list shows of each of ``found``."""
    return [entry(publication) for publication in found]


def entry(publication: Publication) -> dict[str, Any]:
    """Return what a list shows of one publication."""
    facts = head(publication.data)
    return {
        "address": publication.get_absolute_url(),
        "title": publication.title,
        "summary": facts["summary"],
        "date": publication.date,
        "section": publication.section,
        "image": responsive(facts["image"]),
    }

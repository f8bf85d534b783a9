"""Which page or section an address means, now or formerly."""

from __future__ import annotations

from dataclasses import dataclass

from content.models import Publication, Redirect, Section
from content.public.published import publications
from sync import claims


@dataclass(frozen=True, slots=True)
class Moved:
    """What was asked for is at another address now."""

    to: str


@dataclass(frozen=True, slots=True)
class Gone:
    """There was a page or a section here, and it was taken down."""


Found = Publication | Section | Moved | Gone | None


def resolve(path: str) -> Found:
    """Return what the public path ``path`` (without slashes around it) leads to; None for what never was.

    A current address wins over an imported one, that over a former slug, and that over one that is mistyped.
    """
    if "\0" in path:  # PostgreSQL takes no such text
        return None
    parts = path.split("/")
    section = Section.objects.filter(slug=parts[0]).order_by("token").first() if len(parts) == 1 else None
    return section or (_current(*parts) if len(parts) == 2 else None) or _redirect(path) or _former(parts)


def page_address(token: str) -> Moved | Gone | None:
    """Return where the page ``token`` is now, or that it is public no longer; None for one that never was."""
    publication = publications().filter(page_id=token).first()
    if publication:
        return Moved(publication.get_absolute_url())
    return Gone() if Publication.objects.filter(page_id=token).exists() else None


def _current(section: str, slug: str) -> Publication | Moved | None:
    """The published page with this slug, or its address where that names another section."""
    found = publications().filter(slug=slug).order_by("page_id").first()
    if found is None or found.section.slug == section:
        return found
    # Of several pages that claimed this slug, a link that names the section of one means that one.
    others = publications().filter(page__in=claims.displaced_from("content.page", slug), section__slug=section)
    return Moved((others.first() or found).get_absolute_url())


def _redirect(path: str) -> Moved | Gone | None:
    """Where an imported address leads. Several pages may claim one: the first that is public wins."""
    pages = Redirect.objects.filter(path=f"/{path}").order_by("token").values_list("page_id", flat=True)
    places = [place for place in map(page_address, pages[:10]) if place]
    return next((place for place in places if isinstance(place, Moved)), places[0] if places else None)


def _former(parts: list[str]) -> Moved | Gone | None:
    """Where the row is that once had this slug: every slug ever given out leads to its owner, a mistyped one by tag and words."""
    model = {1: "content.section", 2: "content.page"}.get(len(parts))
    owner = claims.owner(model, parts[-1]) or claims.similar(model, parts[-1]) if model else None
    if owner is None or model == "content.page":
        return page_address(owner) if owner else None
    section = Section.objects.filter(token=owner).first()
    return Moved(section.get_absolute_url()) if section else Gone()

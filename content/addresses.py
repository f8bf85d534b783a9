"""Which page or section an address means, now or formerly."""

from __future__ import annotations

from dataclasses import dataclass

from content.models import Publication, Redirect, Section
from content.public.published import publications


@dataclass(frozen=True, slots=True)
class Moved:
    """What was asked for is at another address now."""

    to: str


@dataclass(frozen=True, slots=True)
class Gone:
    """There was a page here, and it was taken down."""


Found = Publication | Section | Moved | Gone | None


def resolve(path: str) -> Found:
    """Return what the public path ``path`` (without slashes around it) leads to; None for what never was.

    A current address wins over an imported one, and that over a former slug.
    """
    if "\0" in path:  # PostgreSQL takes no such text
        return None
    parts = path.split("/")
    section = Section.objects.filter(slug=parts[0]).order_by("token").first() if len(parts) == 1 else None
    return section or (_current(*parts) if len(parts) == 2 else None) or _redirect(path) or _former(parts)


def former_owner(model_label: str, slug: str) -> str | None:
    """Return the token of the row that once had ``slug``, or None. The smallest one where several claim it.

    A publication keeps the slug that its page had then.
    """
    if model_label == "content.Page":
        return Publication.objects.filter(slug=slug).order_by("page_id").values_list("page_id", flat=True).first()
    return None


def page_address(token: str) -> Moved | Gone:
    """Return where the page ``token`` is now, or that it is public no longer."""
    publication = publications().filter(page_id=token).first()
    return Moved(publication.get_absolute_url()) if publication else Gone()


def _current(section: str, slug: str) -> Publication | Moved | None:
    """The published page with this slug: in this section, or else the address of the one with the smallest token."""
    candidates = list(publications().filter(slug=slug).order_by("page_id")[:100])
    here = next((each for each in candidates if each.section.slug == section), None)
    return here or (Moved(candidates[0].get_absolute_url()) if candidates else None)


def _redirect(path: str) -> Moved | Gone | None:
    """Where an imported address leads. Several pages may claim one: the first that is public wins."""
    pages = Redirect.objects.filter(path=f"/{path}").order_by("token").values_list("page_id", flat=True)
    places = [page_address(page) for page in pages[:10]]
    return next((place for place in places if isinstance(place, Moved)), places[0] if places else None)


def _former(parts: list[str]) -> Moved | Gone | None:
    if len(parts) == 2:
        page = former_owner("content.Page", parts[1])
        return page_address(page) if page else None
    owner = former_owner("content.Section", parts[0]) if len(parts) == 1 else None
    section = Section.objects.filter(token=owner).first() if owner else None
    return Moved(section.get_absolute_url()) if section else None

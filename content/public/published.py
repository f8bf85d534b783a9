"""What is public at this moment: the publication that each page points to, where its section is here."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, QuerySet

from content.models import Publication, Section


def publications() -> QuerySet[Publication]:
    """Return the current publication of every published page, newest first, each with its section.

    Rows whose page or section has not arrived (or is gone) are left out: the joins find nothing.
    """
    current = Publication.objects.filter(page__publication=F("token"), section__slug__gt="")
    return current.select_related("section").order_by("-date", "-made", "token")


def sections() -> QuerySet[Section]:
    """Return the sections that have something to read, in their order."""
    return Section.objects.filter(Exists(publications().filter(section=OuterRef("pk"))))

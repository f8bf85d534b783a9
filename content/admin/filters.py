"""The filters of the list of pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from content.editor.absent import follow
from content.models import Page

DRAFT, PUBLISHED, CHANGED = "draft", "published", "changed"


def state_of(page: Page) -> str:
    """Return what readers see of ``page``: nothing, what stands here, or an earlier version."""
    if not page.publication_id:
        return DRAFT
    publication = follow(page, "publication")
    return CHANGED if publication and page.updated > publication.made else PUBLISHED


class StateFilter(admin.SimpleListFilter):
    """Draft, published, changed since publication."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(DRAFT, "Draft"), (PUBLISHED, "Published"), (CHANGED, "Changed since publication")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Page]) -> QuerySet[Page]:
        if self.value() == DRAFT:
            return queryset.filter(publication_id=None)
        if self.value() == PUBLISHED:
            return queryset.exclude(publication_id=None)
        if self.value() == CHANGED:
            return queryset.filter(publication__made__lt=F("updated"))
        return queryset

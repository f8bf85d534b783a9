"""Sections and redirects, which editors write; publications and submissions, which nobody alters."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from content.admin.versions import CarriesVersions
from content.editor.absent import follow
from content.forms.fields import LineField, TextField
from content.forms.versioned import VersionedForm
from content.models import Publication, Redirect, Section, Submission


class SectionForm(VersionedForm):
    """A part of the site."""

    title = LineField(max_length=200)
    description = TextField(required=False)


@admin.register(Section)
class SectionAdmin(CarriesVersions, admin.ModelAdmin):
    """Parts of the site."""

    form = SectionForm

    list_display = ("title", "slug", "ordering")
    list_editable = ("ordering",)
    search_fields = ("title", "description")
    readonly_fields = ("slug",)
    view_on_site = False


class RedirectForm(VersionedForm):
    """A former address, as it is stored."""

    def clean_path(self) -> str:
        """Return the path with one slash before it and none behind."""
        path = "/" + self.cleaned_data["path"].strip().strip("/")
        if path == "/" or path.startswith("/admin"):
            raise ValidationError("Give a former address of a page, such as /2019/05/old-title.")
        return path


@admin.register(Redirect)
class RedirectAdmin(CarriesVersions, admin.ModelAdmin):
    """Former addresses."""

    form = RedirectForm
    list_display = ("path", "leads_to")
    search_fields = ("path",)
    autocomplete_fields = ("page",)
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Redirect]:
        return super().get_queryset(request).prefetch_related("page")

    @admin.display(description="leads to")
    def leads_to(self, redirect: Redirect) -> str:
        """The page's title; a page that is not here yet is named by its key."""
        page = follow(redirect, "page")
        return page.title if page else f"not here yet: {redirect.page_id}"


class Unalterable(admin.ModelAdmin):
    """To be read only, by everybody."""

    view_on_site = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="content")
    def readable(self, row: Any) -> SafeString:
        """The data, indented."""
        return format_html('<pre class="data">{}</pre>', json.dumps(row.data, indent=2, ensure_ascii=False))


@admin.register(Publication)
class PublicationAdmin(Unalterable):
    """What the public saw, ever."""

    list_display = ("title", "made", "author", "date")
    list_filter = ("author",)
    search_fields = ("title", "slug")
    date_hierarchy = "made"
    ordering = ("-made", "token")
    fields = ("title", "slug", "made", "author", "date", "readable")


@admin.register(Submission)
class SubmissionAdmin(Unalterable):
    """What visitors sent."""

    list_display = ("form", "created", "farm")
    list_filter = ("form", "farm")
    date_hierarchy = "created"
    fields = ("form", "created", "farm", "readable")

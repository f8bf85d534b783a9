"""The library of assets, and the chooser that the page editor opens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from content import uploads
from content.admin.versions import CarriesVersions
from content.forms.fields import LineField
from content.forms.versioned import VersionedForm
from content.models import Asset

PAGE_SIZE = 24  # pictures in one page of the chooser


class AssetForm(VersionedForm):
    """An asset and its file. The file of an existing asset never changes: pages were published with it."""

    title = LineField(max_length=200, required=False, help_text="Taken from the file's name where it is empty.")
    file = forms.FileField()

    class Meta:
        model = Asset
        fields = ("title", "alt")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("file", None)
            self.fields["title"].required = True

    def clean_file(self) -> UploadedFile:
        """Refuse what cannot be shown."""
        uploads.check(self.cleaned_data["file"])
        return self.cleaned_data["file"]


@admin.register(Asset)
class AssetAdmin(CarriesVersions, admin.ModelAdmin):
    """Pictures and files."""

    form = AssetForm
    list_display = ("thumbnail", "title", "alt", "content_type", "dimensions", "created")
    list_display_links = ("thumbnail", "title")
    list_filter = ("content_type",)
    search_fields = ("title", "alt", "filename")
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ("filename", "content_type", "dimensions", "size", "created")
    view_on_site = False

    def get_fields(self, request: HttpRequest, obj: Asset | None = None) -> Any:
        return ["title", "alt", *self.readonly_fields] if obj else ["file", "title", "alt"]

    def get_readonly_fields(self, request: HttpRequest, obj: Asset | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: Asset, form: AssetForm, change: bool) -> None:
        if not change:
            uploads.fill(obj, form.cleaned_data["file"])
        super().save_model(request, obj, form, change)

    @admin.display(description="")
    def thumbnail(self, asset: Asset) -> SafeString:
        """The picture, small; the kind of file for others."""
        if asset.content_type.startswith("image/"):
            return format_html('<img class="thumbnail" src="{}" alt="" loading="lazy">', asset.url)
        return format_html('<span class="thumbnail">{}</span>', asset.filename.rpartition(".")[2].upper())

    @admin.display(description="pixels")
    def dimensions(self, asset: Asset) -> str:
        """Width and height."""
        return f"{asset.width} × {asset.height}" if asset.width else "–"

    def get_urls(self) -> list[URLPattern]:
        chooser = path("choose/", self.admin_site.admin_view(self.choose_view), name="content_asset_choose")
        return [chooser, *super().get_urls()]

    def choose_view(self, request: HttpRequest) -> JsonResponse:
        """List pictures, newest first: ``q`` narrows, ``p`` pages. ``{"pictures": [{token, title, alt, url}], "next": p}``."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Asset.objects.filter(content_type__startswith="image/")
        for word in request.GET.get("q", "").split():
            found = found.filter(Q(title__icontains=word) | Q(alt__icontains=word) | Q(filename__icontains=word))
        page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("p"))
        keys = ("token", "title", "alt", "url")
        pictures = [{key: getattr(asset, key) for key in keys} for asset in page]
        return JsonResponse({"pictures": pictures, "next": page.next_page_number() if page.has_next() else None})

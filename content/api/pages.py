"""``pages/``: what is published, for everybody; drafts, for staff; publishing, for editors."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import exceptions, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from content import publishing
from content.api.access import Access, wants_drafts
from content.api.drafts import PageListSerializer, PageSerializer
from content.api.former import FormerSlugs
from content.api.published import PublishedFilter, PublishedPage, PublishedPageDetail
from content.api.versions import Versioned
from content.editor.loaded import versions_of
from content.models import Page, Section
from content.public.published import publications
from sync.versions import Versions

DRAFT = OpenApiParameter("draft", bool, description="what editors see, for staff; the published version otherwise")
KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="token or slug of the page")


class NoSection(exceptions.APIException):
    """The page cannot be public where it has no section."""

    status_code = 409
    default_code = "section_missing"
    default_detail = "The section of this page is not here; give the page another one first."


@extend_schema_view(
    list=extend_schema(parameters=[DRAFT], responses=PublishedPage(many=True)),
    retrieve=extend_schema(parameters=[DRAFT, KEY], responses=PublishedPageDetail),
    update=extend_schema(parameters=[KEY]),
    partial_update=extend_schema(parameters=[KEY]),
    destroy=extend_schema(parameters=[KEY]),
)
class PagesView(Versioned, FormerSlugs, Access, viewsets.ModelViewSet):
    """Pages. Everybody reads what is published; ``draft=true`` and every write concern the draft."""

    claimed = "content.page"
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    needs = {
        "drafts": ("content.view_page",),
        "create": ("content.add_page",),
        "update": ("content.change_page",),
        "partial_update": ("content.change_page",),
        "destroy": ("content.delete_page",),
        "publish": ("content.publish_page",),
        "unpublish": ("content.publish_page",),
    }

    @property
    def reads_published(self) -> bool:
        """Whether this request is about publications, not drafts."""
        return self.action in ("list", "retrieve") and not wants_drafts(self.request)

    @property
    def filterset_class(self) -> type[PublishedFilter] | None:
        """Filters are for published pages."""
        return PublishedFilter if self.reads_published else None

    def versions_of(self, row: Page) -> Versions:
        """Return the versions of the page and its blocks."""
        return versions_of(row.token)

    def get_queryset(self) -> Any:
        return publications() if self.reads_published else Page.objects.all()

    def find(self) -> Any:
        """The page by token or slug; the smallest token where two claim one slug."""
        key = self.kwargs["key"]
        name = "page_id" if self.reads_published else "token"
        found = None if "\0" in key else self.get_queryset().filter(Q(**{name: key}) | Q(slug=key)).order_by(name).first()
        if found is None:
            raise Http404
        return found

    def get_serializer_class(self) -> Any:
        if self.reads_published:
            return PublishedPage if self.action == "list" else PublishedPageDetail
        return PageListSerializer if self.action == "list" else PageSerializer

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            serializer.save()

    def perform_destroy(self, instance: Page) -> None:
        """Delete the page and its blocks; a public one takes the permission to unpublish, too."""
        if instance.publication_id and not self.request.user.has_perm("content.publish_page"):
            raise exceptions.PermissionDenied("The page is public; only who may unpublish it may delete it.")
        with transaction.atomic():
            instance.delete()

    @extend_schema(request=None, parameters=[KEY], responses=PublishedPageDetail)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, key: str) -> Response:
        """Make the draft, as it is stored now, what the public sees."""
        with transaction.atomic():
            page = self.get_object()
            if not Section.objects.filter(token=page.section_id).exists():
                raise NoSection
            publication = publishing.publish(page, author=request.user.get_username())
        return Response(PublishedPageDetail(publication).data)

    @extend_schema(request=None, parameters=[KEY], responses=PageSerializer)
    @action(detail=True, methods=["post"])
    def unpublish(self, request: Request, key: str) -> Response:
        """Take the page down; its draft stays."""
        with transaction.atomic():
            page = self.get_object()
            publishing.unpublish(page)
        return Response(PageSerializer(page).data)

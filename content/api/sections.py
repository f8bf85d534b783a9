"""``sections/``: those with something to read, for everybody; all of them, for staff."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from content.api.access import Access, wants_drafts
from content.api.former import FormerSlugs
from content.api.values import Strict
from content.api.versions import Versioned, VersionedSerializer
from content.models import Section
from content.public.published import sections

KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="token or slug of the section")
DRAFT = OpenApiParameter("draft", bool, description="also sections without published pages, for staff")


class SectionSerializer(VersionedSerializer, Strict, serializers.ModelSerializer):
    """A section."""

    address = serializers.CharField(source="get_absolute_url", read_only=True, help_text="the public path")

    class Meta:
        model = Section
        fields = ["token", "slug", "address", "title", "description", "ordering", "versions"]
        read_only_fields = ["token", "slug"]


@extend_schema_view(
    list=extend_schema(parameters=[DRAFT]),
    retrieve=extend_schema(parameters=[KEY, DRAFT]),
    update=extend_schema(parameters=[KEY]),
    partial_update=extend_schema(parameters=[KEY]),
    destroy=extend_schema(parameters=[KEY]),
)
class SectionsView(Versioned, FormerSlugs, Access, viewsets.ModelViewSet):
    """Sections. One that has pages cannot be deleted."""

    serializer_class = SectionSerializer
    claimed = "content.section"
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    needs = {
        "drafts": ("content.view_section",),
        "create": ("content.add_section",),
        "update": ("content.change_section",),
        "partial_update": ("content.change_section",),
        "destroy": ("content.delete_section",),
    }

    def get_queryset(self) -> Any:
        published = self.action in ("list", "retrieve") and not wants_drafts(self.request)
        return sections() if published else Section.objects.all()

    def find(self) -> Section:
        """The section by token or slug."""
        key = self.kwargs["key"]
        found = None if "\0" in key else self.get_queryset().filter(Q(token=key) | Q(slug=key)).order_by("token").first()
        if found is None:
            raise Http404
        return found

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            serializer.save()

    def perform_destroy(self, instance: Section) -> None:
        with transaction.atomic():
            instance.delete()

"""Published pages as everybody reads them."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Q, QuerySet
from django_filters import CharFilter, DateFromToRangeFilter, FilterSet
from rest_framework import serializers

from content.models import Publication, Section
from content.public.snapshots import head, normal


class SectionLink(serializers.ModelSerializer):
    """The section of a page, in short."""

    class Meta:
        model = Section
        fields = ["token", "slug", "title"]


class PublishedBlock(serializers.Serializer):
    """One block; ``data`` has the keys of its type."""

    token = serializers.CharField()
    type = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]


class Picture(serializers.Serializer):
    """The picture that stands for a page."""

    url = serializers.CharField()
    alt = serializers.CharField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)


class PublishedPage(serializers.ModelSerializer):
    """A published page in a list."""

    token = serializers.CharField(source="page_id")
    address = serializers.CharField(source="get_absolute_url", help_text="the public path")
    section = SectionLink()
    published = serializers.DateTimeField(source="made", help_text="when this version was published")
    summary = serializers.CharField(source="data.summary")
    tags = serializers.ListField(child=serializers.CharField(), source="data.tags")
    authors = serializers.ListField(child=serializers.CharField(), source="data.authors")
    image = Picture(source="data.image", allow_null=True)

    class Meta:
        model = Publication
        fields = ["token", "slug", "address", "title", "section", "date", "published", "summary", "tags", "authors", "image"]

    def to_representation(self, instance: Publication) -> dict[str, Any]:
        """Publications also arrive by replication: their data is made regular and safe first."""
        instance.data = normal(instance.data) if "blocks" in self.fields else head(instance.data)
        return super().to_representation(instance)


class PublishedPageDetail(PublishedPage):
    """A published page, whole."""

    seo_title = serializers.CharField(source="data.seo_title")
    seo_description = serializers.CharField(source="data.seo_description")
    hidden_from_search = serializers.BooleanField(source="data.hidden_from_search")
    blocks = PublishedBlock(many=True, source="data.blocks")

    class Meta(PublishedPage.Meta):
        fields = [*PublishedPage.Meta.fields, "seo_title", "seo_description", "hidden_from_search", "blocks"]


class PublishedFilter(FilterSet):
    """``section`` (token or slug), ``tag``, ``date_after`` and ``date_before`` (days, both included)."""

    section = CharFilter(method="by_section", help_text="token or slug")
    tag = CharFilter(method="by_tag", help_text="case does not matter")
    date = DateFromToRangeFilter()

    class Meta:
        model = Publication
        fields: list[str] = []

    def by_section(self, queryset: QuerySet[Publication], name: str, value: str) -> QuerySet[Publication]:
        """Keep the pages of one section."""
        return queryset.filter(Q(section_id=value) | Q(section__slug=value))

    def by_tag(self, queryset: QuerySet[Publication], name: str, value: str) -> QuerySet[Publication]:
        """Keep the pages with a tag. SQLite keeps letters beyond ASCII escaped, PostgreSQL does not."""
        escaped, plain = json.dumps(value), json.dumps(value, ensure_ascii=False)
        return queryset.filter(Q(data__tags__icontains=escaped) | Q(data__tags__icontains=plain))

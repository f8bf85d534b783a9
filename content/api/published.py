"""Published pages as everybody reads them."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Q, QuerySet
from django_filters import CharFilter, DateFromToRangeFilter, FilterSet
from rest_framework import serializers

from content.blocks import clean_data
from content.models import Publication, Section
from content.rendering import picture


class SectionLink(serializers.ModelSerializer):
    """The section of a page, in short."""

    class Meta:
        model = Section
        fields = ["token", "slug", "title"]


class PublishedBlock(serializers.Serializer):
    """One block, cleaned again, since publications also arrive by replication."""

    token = serializers.CharField(default="")
    type = serializers.CharField(default="")
    data = serializers.JSONField(default=dict)  # type: ignore[assignment]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        block = instance if isinstance(instance, dict) else {}
        raw = block["data"] if isinstance(block.get("data"), dict) else {}
        data = clean_data(str(block.get("type")), raw)
        if block.get("type") == "image":
            data["file"] = picture(raw.get("file"))
        return {"token": block.get("token"), "type": block.get("type"), "data": data}


class PublishedPage(serializers.ModelSerializer):
    """A published page in a list."""

    token = serializers.CharField(source="page_id")
    address = serializers.CharField(source="get_absolute_url", help_text="the public path")
    section = SectionLink()
    published = serializers.DateTimeField(source="made", help_text="when this version was published")
    summary = serializers.CharField(source="data.summary", default="")
    tags = serializers.ListField(child=serializers.CharField(), source="data.tags", default=list)
    authors = serializers.ListField(child=serializers.CharField(), source="data.authors", default=list)
    image = serializers.SerializerMethodField()

    class Meta:
        model = Publication
        fields = ["token", "slug", "address", "title", "section", "date", "published", "summary", "tags", "authors", "image"]

    def get_image(self, publication: Publication) -> dict[str, Any] | None:
        """The picture that stands for the page: ``url``, ``alt``, ``width``, ``height``."""
        return picture(publication.data.get("image"))


class PublishedPageDetail(PublishedPage):
    """A published page, whole."""

    seo_title = serializers.CharField(source="data.seo_title", default="")
    seo_description = serializers.CharField(source="data.seo_description", default="")
    hidden_from_search = serializers.BooleanField(source="data.hidden_from_search", default=False)
    blocks = PublishedBlock(many=True, source="data.blocks", default=list)

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

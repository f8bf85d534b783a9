"""``search/``: the words of ``q`` in what is published."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from content.api.access import Access
from content.api.published import PublishedPage
from content.models import Publication
from content.public.search import search, shown


class HitSerializer(serializers.Serializer):
    """One page that has every word."""

    page = PublishedPage()
    passage = serializers.CharField(help_text="text around the first word found")


class SearchView(Access, GenericAPIView):
    """Search what is published."""

    queryset = Publication.objects.none()
    serializer_class = HitSerializer
    filter_backends: list[Any] = []

    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True, description="every word must occur")],
        responses=HitSerializer(many=True),
        operation_id="search_list",
    )
    def get(self, request: Request) -> Response:
        """Those with the words in the title come first, then the newest."""
        query = request.query_params.get("q", "").strip()
        if not query:
            raise serializers.ValidationError({"q": ["Give the words to look for."]}, code="required")
        hits = self.paginate_queryset(search(query)) or []
        found = [{"page": publication, "passage": hit.passage} for publication, hit in shown(hits)]
        return self.get_paginated_response(HitSerializer(found, many=True).data)

"""``assets/``: pictures and files, for staff. The public meets them in pages."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from content import uploads
from content.api.access import Access
from content.api.values import MAX_BODY, BoundedJSONParser, Strict
from content.api.versions import Versioned, VersionedSerializer
from content.models import Asset


class AssetSerializer(VersionedSerializer, Strict, serializers.ModelSerializer):
    """An asset; only its texts can be changed."""

    url = serializers.CharField(read_only=True)

    class Meta:
        model = Asset
        fields = [
            "token", "title", "alt", "filename", "url", "digest", "size", "content_type", "width", "height", "created", "versions",
        ]  # fmt: skip
        read_only_fields = [name for name in fields if name not in ("title", "alt", "versions")]


class UploadSerializer(Strict):
    """A file, with its texts, as ``multipart/form-data``."""

    file = serializers.FileField()
    title = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    alt = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class AssetsView(Versioned, Access, viewsets.ModelViewSet):
    """Assets. A file is never replaced: another content is another asset."""

    queryset = Asset.objects.all()
    serializer_class = AssetSerializer
    parser_classes = [BoundedJSONParser, MultiPartParser]
    max_body = uploads.MAX_SIZE + MAX_BODY  # the file, and what is around it
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    needs = {
        "list": ("content.view_asset",),
        "retrieve": ("content.view_asset",),
        "create": ("content.add_asset",),
        "partial_update": ("content.change_asset",),
        "destroy": ("content.delete_asset",),
    }

    @extend_schema(request={"multipart/form-data": UploadSerializer}, responses={201: AssetSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Upload a file."""
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        values = upload.validated_data
        try:
            asset = uploads.store(values["file"], title=values["title"], alt=values["alt"])
        except ValidationError as refused:
            raise serializers.ValidationError({"file": refused.messages}, code=refused.code) from refused
        return Response(AssetSerializer(asset).data, status=201)

    versioned_actions = ("retrieve", "partial_update", "destroy")

    def find(self) -> Asset:
        """The asset by token."""
        return get_object_or_404(Asset, token=self.kwargs["pk"])

    def perform_destroy(self, instance: Asset) -> None:
        """Delete the row. Published pages go on naming the blob, but nothing serves what has no row."""
        with transaction.atomic():
            instance.delete()

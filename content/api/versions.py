"""Versions for clients of the API: what they have read comes with a text that they send back with what they write.

``versions`` in the body merges: fields that the client sends back as it got them are not written, and what somebody else wrote
meanwhile into the same field stays beside it. ``If-Match`` refuses: with the ETag of what was read, a row that has changed since
answers 412. Who sends neither writes over the row as it is at that moment.
"""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers, viewsets
from rest_framework.fields import SkipField
from rest_framework.request import Request
from rest_framework.response import Response

from content.api.access import wants_drafts
from sync import local
from sync.shown import overwritten
from sync.versions import Versions, row_key


class Changed(exceptions.APIException):
    """What the client has read is not what is here."""

    status_code = 412
    default_code = "precondition_failed"
    default_detail = "It was changed since you have read it. Read it again, and decide what to write."


@extend_schema_field(str)
class VersionsField(serializers.Field):
    """What was read, as a text that means nothing to clients."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, help_text="of what was read; sent back, it keeps what others wrote since", **kwargs)

    def get_attribute(self, instance: models.Model) -> Versions:
        if (shown := instance.__dict__.get("_versions")) is None:
            raise SkipField
        return shown

    def to_representation(self, value: Versions) -> str:
        return value.pack()

    def to_internal_value(self, data: Any) -> Versions:
        if (versions := Versions.unpack(data)) is None:
            raise serializers.ValidationError("These versions are not of this replica. Read the row again, here.")
        return versions


class VersionedSerializer(serializers.ModelSerializer):
    """A serializer of a row with ``versions``."""

    versions = VersionsField()

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """Write the fields that the client meant to change."""
        see(validated_data.pop("versions", None), [instance], list(validated_data))
        if names := changed(instance, validated_data):
            instance.save(update_fields=names)
        return instance

    def create(self, validated_data: dict[str, Any]) -> Any:
        """Make the row; there are no versions yet."""
        validated_data.pop("versions", None)
        return super().create(validated_data)


def see(versions: Versions | None, rows: list[Any], fields: list[str]) -> None:
    """Let ``rows`` know what the client had before it of ``fields``: the values, and the writes that they stand for."""
    if versions is None or not rows:
        return
    columns = [rows[0]._meta.get_field(name).attname for name in fields]
    before = overwritten(versions, rows)
    for row in rows:
        for name, value in before.get(row.pk, {}).items():
            row.see(name, value)
        versions.see(row, columns)


def changed(row: Any, values: dict[str, Any]) -> list[str]:
    """Put ``values`` (field -> value) into ``row`` and return the names of those fields that the client meant to change."""
    seen = row.__dict__.get("_values_seen", {})
    names = []
    for name, value in values.items():
        column = row._meta.get_field(name).attname
        stored = value.pk if isinstance(value, models.Model) else value
        if stored != seen.get(column, getattr(row, column)):
            setattr(row, name, value)
            names.append(name)
    return names


class Versioned(viewsets.ModelViewSet):
    """Gives a view of rows ETags, ``If-Match`` and versions. Stands before what finds the row."""

    versioned_actions: tuple[str, ...] = ("update", "partial_update", "destroy", "publish", "unpublish")
    _fingerprint = ""

    def find(self) -> Any:
        """Return the row that the address names. Raises Http404."""
        raise NotImplementedError

    def versions_of(self, row: Any) -> Versions:
        """Return the versions of all that is shown with ``row``."""
        return Versions.read([row_key(type(row), row.pk)])

    @property
    def is_versioned(self) -> bool:
        """Whether this request is about what editors write."""
        return self.action in self.versioned_actions or (self.action == "retrieve" and wants_drafts(self.request))

    def get_object(self) -> Any:
        """The row; where it is written, or read for that, with its versions. Raises Changed where ``If-Match`` says another."""
        row = self.find()
        if not self.is_versioned:
            return row
        row = self._with_versions(row)
        wanted = self.request.headers.get("If-Match", "*").strip()
        tags = [tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(",")]
        if self.request.method != "GET" and wanted != "*" and self._fingerprint not in tags:
            raise Changed
        return row

    def _with_versions(self, row: Any) -> Any:
        shown = self.versions_of(row)
        fresh = type(row)._default_manager.filter(pk=row.pk).first()  # after the versions, so that they never say too much
        if fresh is None:
            raise Http404
        fresh.__dict__["_versions"] = shown
        self._fingerprint = shown.fingerprint
        return fresh

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the row, and answer with it as it is then."""
        with transaction.atomic():
            local.take_turn()
            super().update(request, *args, **kwargs)
        row = self._with_versions(self.find())
        return Response(self.get_serializer(row).data)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the ETag of the row that was read."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._fingerprint and request.method in ("GET", "PUT", "PATCH") and response.status_code == 200:
            response["ETag"] = f'"{self._fingerprint}"'
        return response

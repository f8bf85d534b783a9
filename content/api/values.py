"""What every body of a request has to keep: bounds, known fields, JSON that every database and every signature can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework import exceptions, serializers
from rest_framework.parsers import JSONParser

MAX_BODY = 2 << 20  # bytes of JSON
MAX_DEPTH = 8  # levels of lists and objects
MAX_INTEGER = 2**53  # beyond it programs disagree


class TooLarge(exceptions.APIException):
    """The body is larger than this address takes."""

    status_code = 413
    default_code = "too_large"


class LengthRequired(exceptions.APIException):
    """The body comes in chunks (RFC 9112, 7.1), of which nothing would be read."""

    status_code = 411
    default_code = "length_required"
    default_detail = "Send the body in one piece, with a Content-Length."


class BoundedJSONParser(JSONParser):
    """JSON; what is nested too deep is malformed, not a crash."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - nested too deep") from None


def refuse_larger_than(limit: int, request: Any) -> None:
    """Raise TooLarge when ``request`` announces more than ``limit`` bytes, LengthRequired when it announces nothing and sends chunks.

    No more than announced is ever read.
    """
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequired
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise TooLarge(f"The body may have {limit} bytes.")


def check_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return ``value`` where it can be stored and signed alike everywhere, and is nested at most ``depth`` deep.

    Raises ValidationError that says what cannot.
    """
    _check(value, depth, depth)
    return value


def _check(value: Any, depth: int, left: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise serializers.ValidationError("Numbers must be finite.")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise serializers.ValidationError("Whole numbers beyond 2^53 must be sent as text.")
    elif isinstance(value, list | dict):
        if left == 0:
            raise serializers.ValidationError(f"Lists and objects may be nested {depth} deep.", code="too_deep")
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for part in parts:
            _check(part, depth, left - 1)


def _check_text(text: str) -> None:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise serializers.ValidationError("Texts may hold neither NUL nor half of a surrogate pair.")


class Strict(serializers.Serializer):
    """A serializer that refuses what it does not know, and what only the server sets, instead of ignoring it."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            wrong = {name: self._refusal(name) for name in data if name not in writable and name != "csrfmiddlewaretoken"}
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)

    def _refusal(self, name: str) -> list[exceptions.ErrorDetail]:
        if name in self.fields:
            return [exceptions.ErrorDetail("This field is set by the server; leave it out.", "read_only")]
        known = ", ".join(sorted(name for name, field in self.fields.items() if not field.read_only))
        return [exceptions.ErrorDetail(f"There is no such field. Known ones: {known}.", "unknown_field")]

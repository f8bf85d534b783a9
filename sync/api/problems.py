"""Refusals of the exchange, each with its status and its stable code, as problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from rest_framework.exceptions import APIException


class SyncProblem(APIException):
    """A request that was refused; nothing of it was stored. ``extra`` are further members of the problem document."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.extra = extra


def as_response(problem: APIException) -> JsonResponse:
    """Return the problem document of ``problem``."""
    code = str(getattr(problem, "code", None) or problem.default_code)
    document = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": problem.status_code,
        "code": code,
        "detail": str(problem.detail),
        **getattr(problem, "extra", {}),
    }
    return JsonResponse(document, status=problem.status_code, content_type="application/problem+json")

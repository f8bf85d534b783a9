"""The description of the API in OpenAPI 3.1, and its page for people."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from content.api.access import Access

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `errors` names the fields that were refused.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {name: {"type": "string"} for name in ("field", "code", "detail")}},
        },
    },
}


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Let every operation say how it fails: drf-spectacular documents no error by itself."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"]["default"] = {"description": "The request failed.", "content": content}
    return result


def only_v1(endpoints: list[Any], **_: Any) -> list[Any]:
    """Keep the addresses for clients: replicas have a protocol of their own. One form of each, with its slash."""
    return [(path, *rest) for path, *rest in endpoints if path.startswith("/api/v1/") and "{unknown}" not in path]


class DocsView(SpectacularSwaggerSplitView):
    """The page for people; its script is an address of its own, so that no content policy has to be loosened."""

    template_name = "content/api/docs.html"
    url_name = "api-schema"


class Root(Access):
    """The way to everything else."""

    schema = None
    names = {
        "sections": "api-section-list",
        "pages": "api-page-list",
        "assets": "api-asset-list",
        "submissions": "api-submission-list",
        "search": "api-search",
        "schema": "api-schema",
        "docs": "api-docs",
    }

    def get(self, request: Request) -> Response:
        """The path of each resource, by its name."""
        return Response({name: reverse(view) for name, view in self.names.items()})


class NothingHere(Access):
    """Every other address under ``/api/``: a problem, not the site's page for people."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise exceptions.NotFound("There is nothing at this address; /api/docs lists what there is.")

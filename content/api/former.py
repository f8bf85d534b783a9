"""Former slugs: who asks for a row by one is sent to its current address."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponseBase, HttpResponsePermanentRedirect
from django.urls import reverse
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request

from sync import claims


class FormerSlugs(RetrieveModelMixin):
    """Lets a view answer GET of a former slug with 301. ``claimed``: the model (``content.page``) whose slugs are asked for."""

    claimed = ""

    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        """One row, or where it is now."""
        try:
            return super().retrieve(request, *args, **kwargs)
        except Http404:
            token = claims.owner(self.claimed, kwargs["key"]) if "\0" not in kwargs["key"] else None
            if token is None:
                raise
            self.kwargs["key"] = token
            return self.moved(request, self.get_object().slug)

    def moved(self, request: Any, slug: str) -> HttpResponseBase:
        """The way to ``slug``. Nobody keeps it unasked, since a row may get a former slug back."""
        query = request.META.get("QUERY_STRING", "")
        address = reverse(request.resolver_match.view_name, args=[slug])
        return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address, headers={"Cache-Control": "no-cache"})

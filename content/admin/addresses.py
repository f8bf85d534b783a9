"""The addresses of the page editor: slugs instead of keys, with and without a slash at the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, re_path, reverse

from content.models import Page
from sync import claims
from sync.core.token import is_token

# Every slug ends in a tag of two digits and two letters, so that no page can ever claim one of these.
RESERVED = ("add", "preview", "history", "delete")

View = Callable[..., HttpResponseBase]


def token_for(address: str) -> str:
    """Return the key of the page whose slug is or was ``address``; ``address`` itself where it is a key or nothing is found.

    A form that was open while the slug was renewed, here or on another replica, is still sent to the former address.
    """
    if is_token(address):
        return address
    tokens = Page.objects.order_by("token").values_list("token", flat=True)
    return tokens.filter(slug=address).first() or tokens.filter(token=claims.owner("content.page", address)).first() or address


def editor_address(page: Page) -> str:
    """Return where ``page`` is edited."""
    return reverse("admin:content_page_change", args=[page.slug])


class SluggedAddresses:
    """Gives a ModelAdmin of pages its addresses under their stock names, so that every reverse link follows."""

    address = "content-editor/page/"

    def get_urls(self: Any) -> list[URLPattern]:
        def wrap(view: View, *, by_slug: bool = False) -> View:
            def wrapper(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
                if by_slug:
                    kwargs["object_id"] = token_for(kwargs["object_id"])
                return self.admin_site.admin_view(view)(request, **kwargs)

            wrapper.model_admin = self  # type: ignore[attr-defined]
            return update_wrapper(wrapper, view)

        one = r"^(?P<object_id>[^/]+)"
        return [
            re_path(r"^$", wrap(self.changelist_view), name="content_page_changelist"),
            re_path(r"^add/?$", wrap(self.add_view), name="content_page_add"),
            re_path(r"^add/preview/?$", wrap(self.preview_view), name="content_page_add_preview"),
            re_path(one + r"/history/?$", wrap(self.history_view, by_slug=True), name="content_page_history"),
            re_path(one + r"/delete/?$", wrap(self.delete_view, by_slug=True), name="content_page_delete"),
            re_path(one + r"/preview/?$", wrap(self.preview_view, by_slug=True), name="content_page_preview"),
            re_path(one + r"/?$", wrap(self.change_view, by_slug=True), name="content_page_change"),
        ]

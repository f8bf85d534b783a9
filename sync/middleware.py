"""Names the author of what a request changes."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from sync import pending


class AuthorMiddleware:
    """Changesets made during a request carry the user name of who is logged in. Stands after Django's authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request; the user is looked up only where something is written."""
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self.get_response(request)
        user = getattr(request, "user", None)
        with pending.written_by(user.get_username() if user is not None and user.is_authenticated else ""):
            return self.get_response(request)

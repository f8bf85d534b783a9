"""What somebody typed and this replica did not store, handed back in a page from which it can be sent again."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.middleware.csrf import get_token
from django.template.loader import render_to_string

UNSEEN = re.compile(r"^(csrf|initial-|_|versions$|saves$)|-__prefix__-|-([A-Z]+_FORMS|DELETE|token|parent|region|ordering)$")
TOKEN = "csrfmiddlewaretoken"  # noqa: S105


def handed_back(
    request: HttpRequest, status: int, detail: str, advice: str, *, is_ours: bool | None = None, login: str = ""
) -> HttpResponse:
    """Answer with ``status`` and a page that says ``detail``, holds what was sent, and gives ``advice``. It needs no database.

    ``is_ours``: whether a page of this site has sent it, see ``is_from_here``: then the form gets a token of now against forgery, and
    otherwise nothing is handed back, for by sending it again from here it would become ours. None where the token was right.
    ``login``: the address at which somebody has to log in before.
    """
    sent: dict[str, Any] = {"method": request.method} if is_ours is False else _sent(request)
    if is_ours and "fields" in sent:
        sent["fields"] = [(name, get_token(request) if name == TOKEN else value) for name, value in sent["fields"]]
    context = {"detail": detail, "advice": advice, "login": login, "path": request.get_full_path(), **sent}
    page = render_to_string("edgecms/not_stored.html", context)
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})


def is_from_here(request: HttpRequest) -> bool:
    """Say whether a page of this site sent the request, by what the browser says of it (RFC 6454): no other page can claim that."""
    origin = request.headers.get("Origin", "")
    return origin == f"{request.scheme}://{request.get_host()}" or origin in settings.CSRF_TRUSTED_ORIGINS


def _sent(request: HttpRequest) -> dict[str, Any]:
    """What somebody typed: all fields, those that people see, and the names of files, which have to be chosen again.

    A password is not given back; then nothing can be sent again from here.
    """
    try:
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
        files = [getattr(file, "name", "") for file in request.FILES.values()]
    except (OSError, UnreadablePostError, SuspiciousOperation):  # a body that could not even be taken in
        fields, files = [], []
    if any("password" in name for name, _ in fields):
        return {"method": request.method}
    typed = [(name, value) for name, value in fields if value and not UNSEEN.search(name)]
    return {"method": request.method, "fields": fields, "typed": typed, "files": files}

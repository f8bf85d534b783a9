"""Errors of both APIs, as RFC 9457 has them: ``application/problem+json`` with a stable ``code``.

Views raise DRF exceptions, whose ``default_code`` is the code; this one handler turns them into problems. It is named in
``REST_FRAMEWORK["EXCEPTION_HANDLER"]``, so that no app needs to import it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import bad_request, server_error
from rest_framework import exceptions
from rest_framework.views import set_rollback

from edgecms.sent import handed_back, is_from_here
from sync import storage
from sync.core.errors import SyncError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
FOR_PROGRAMS = ("/api/", "/sync/")


def problem(status: int, code: str, title: str, detail: str, **extra: Any) -> JsonResponse:
    """Return the answer to a request that failed. ``code`` is stable, ``title`` the same for every such problem,
    ``detail`` tells this one; ``extra`` members stand beside them.

    It is JSON whatever the view would have rendered: what a client accepts, or a page's template, has no say in it."""
    return JsonResponse(body(status, code, title, detail, **extra), status=status, content_type=MEDIA_TYPE)


def body(status: int, code: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """Return the members of a problem."""
    return {"type": f"urn:edgecms:problem:{code}", "title": title, "status": status, "code": code, "detail": detail, **extra}


def exception_handler(error: Exception, context: dict[str, Any]) -> JsonResponse | None:
    """Return the problem for ``error``, or None for a fault of ours, which then takes Django's way (``handler500``)."""
    if known := storage.trouble(error):
        error = unwritable(known)
    error = _as_api_exception(error)
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    status = error.status_code
    title = HTTPStatus(status).phrase
    if isinstance(error, exceptions.ValidationError):
        faults = list(_faults(error.get_full_details()))
        detail = "; ".join(f"{fault['field']}: {fault['detail']}" if fault["field"] else fault["detail"] for fault in faults)
        response = problem(status, "invalid", title, detail, errors=faults)
    else:
        response = problem(status, str(error.get_codes()), title, str(error.detail), **getattr(error, "extra", {}))
    for header, value in _headers(error).items():
        response[header] = value
    return response


def server_problem(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``: a problem for programs, a page for people."""
    failure = sys.exc_info()[1]
    if failure is not None and (known := storage.trouble(failure)):
        return not_stored(request, known)
    if not request.path.startswith(FOR_PROGRAMS):
        return server_error(request)
    detail = "The server failed while it answered; it has written down why. Trying again later may help."
    return problem(500, "internal_error", HTTPStatus(500).phrase, detail)


def bad_request_problem(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler400``: a problem for programs, a page for people."""
    if not request.path.startswith(FOR_PROGRAMS):
        return bad_request(request, exception)
    title = HTTPStatus(400).phrase
    if isinstance(exception, DisallowedHost):
        detail = "The Host of the request is none of this replica's; use an address that its ALLOWED_HOSTS names."
        return problem(400, "host_not_allowed", title, detail)
    return problem(400, "bad_request", title, "The server cannot read this request; mend it before sending it again.")


class StorageMiddleware:
    """Answers where a view could not read or write the storage of this replica: a full disk, a database out of reach."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer, or None for any other trouble."""
        known = storage.trouble(exception)
        return not_stored(request, known) if known else None


class Unwritable(exceptions.APIException):
    """Nothing can be stored just now, or nothing read. ``wait``: seconds after which trying again may help."""

    status_code = 503
    wait = 30


def unwritable(known: SyncError) -> Unwritable:
    """Return ``known`` as DRF raises it, and write it down."""
    logger.error("%s: %s", known.code, known)
    return Unwritable(str(known), known.code)


def not_stored(request: HttpRequest, known: SyncError) -> HttpResponse:
    """A problem for programs; for people a page that holds what they sent, to be sent again. It needs no database."""
    error = unwritable(known)
    if request.path.startswith(FOR_PROGRAMS):
        response: HttpResponse = problem(error.status_code, known.code, HTTPStatus(503).phrase, str(known))
    else:
        response = handed_back(request, error.status_code, f"{known}.", "send it again once there is room")
    response["Retry-After"] = str(error.wait)
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's ``CSRF_FAILURE_VIEW``: the form was made before somebody logged in anew, in another tab perhaps, or is not ours."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem(403, "csrf_failed", HTTPStatus(403).phrase, f"{reason} Send the token of a form of this site.")
    detail = "This form was opened before you logged in, or logged in again."
    return handed_back(request, 403, detail, "send it again", is_ours=is_from_here(request))


@csrf_exempt
def nothing_here(request: HttpRequest, **_: str) -> HttpResponse:
    """Every other address under ``/sync/``: a problem, not the site's page for people."""
    detail = "There is nothing at this address; the protocol between replicas lists what there is."
    return problem(404, "not_found", HTTPStatus(404).phrase, detail)


def _as_api_exception(error: Exception) -> Exception:
    """What Django raises, in the words of DRF."""
    match error:
        case Http404():
            return exceptions.NotFound()
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case ProtectedError():
            return InUse(f"{len(error.protected_objects)} other rows refer to it; move or delete them first.")
    return error


class InUse(exceptions.APIException):
    """Other rows need what was to be deleted."""

    status_code = 409
    default_code = "in_use"


def _faults(details: Any, place: str = "") -> Any:
    """Flatten DRF's nested details into {``field``, ``code``, ``detail``}; ``field`` is like ``blocks.0.type``."""
    if isinstance(details, dict) and set(details) == {"message", "code"} and not isinstance(details["message"], dict | list):
        yield {"field": place, "code": str(details["code"]), "detail": str(details["message"])}
    elif isinstance(details, dict):
        for key, value in details.items():
            yield from _faults(value, place if key == "non_field_errors" else f"{place}.{key}".lstrip("."))
    else:
        for index, value in enumerate(details):
            leaf = isinstance(value, dict) and "message" in value
            yield from _faults(value, place if leaf else f"{place}.{index}")


def _headers(error: exceptions.APIException) -> dict[str, str]:
    """The headers that go with ``error``, as DRF's own handler sets them."""
    wait, challenge = getattr(error, "wait", None), getattr(error, "auth_header", None)
    return ({"Retry-After": f"{wait:.0f}"} if wait else {}) | ({"WWW-Authenticate": challenge} if challenge else {})

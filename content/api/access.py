"""Who may do what: every view has a table from action to the permissions it needs; an action not in it is for everybody."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from content.api.values import MAX_BODY, BoundedJSONParser, refuse_larger_than


class StaffWith(BasePermission):
    """Admits staff who hold the permissions that ``view.needs`` names for the action."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether this user may do ``view.action``; who sees drafts must be allowed to view them."""
        needed = view.needs.get(getattr(view, "action", None), ()) or (
            view.needs.get("drafts", ()) if wants_drafts(request) else ()
        )
        user = request.user
        return not needed or bool(user and user.is_active and user.is_staff and user.has_perms(needed))


def wants_drafts(request: Any) -> bool:
    """Whether ``draft=true`` asks for what editors see, rather than what is published."""
    return request.query_params.get("draft", "").lower() in ("true", "1")


class Access(APIView):
    """What all views of this API share."""

    # Basic comes first, so that who has not said who they are gets 401 and a challenge, not 403.
    authentication_classes = [BasicAuthentication, SessionAuthentication]
    permission_classes = [StaffWith]
    parser_classes = [BoundedJSONParser]
    needs: dict[str, tuple[str, ...]] = {}
    max_body = MAX_BODY

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large before anything reads it."""
        refuse_larger_than(self.max_body, request)
        super().initial(request, *args, **kwargs)

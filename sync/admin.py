"""What replication shows in Django's admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from sync.inbox.admin import ConflictAdmin
from sync.models import Board, Conflict
from sync.status import status

admin.site.register(Conflict, ConflictAdmin)


@admin.register(Board)
class BoardAdmin(admin.ModelAdmin):
    """Peers, lag, and what waits where, for whoever may view contacts of this replica."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("sync.view_contact")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.changelist_view), name="sync_board_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what ``sync_status`` says."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = status()
        context = {**self.admin_site.each_context(request), "title": "Replication", "opts": self.opts, "status": now}
        context["peers"] = [{**peer, "contacted": _moment(peer["last_contact"])} for peer in now["peers"]]
        return TemplateResponse(request, "sync/board.html", context)


def _moment(text: str | None) -> datetime | None:
    """Return the time that ``status`` names, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None

"""What replication shows in Django's admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from sync.admin_pages import PagesAdmin
from sync.inbox.admin import ConflictAdmin
from sync.models import Board, Conflict
from sync.status import status

admin.site.register(Conflict, ConflictAdmin)


@admin.register(Board)
class BoardAdmin(PagesAdmin):
    """Peers, lag, and what waits where, for whoever may view contacts of this replica."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("sync.view_contact")

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.changelist_view), name="sync_board_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what ``sync_status`` says."""
        self.require(request)
        now = status()
        peers = [{**peer, "contacted": _moment(peer["last_contact"])} for peer in now["peers"]]
        return self.show(request, "board", "Replication", status=now, peers=peers)


def _moment(text: str | None) -> datetime | None:
    """Return the time that ``status`` names, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None

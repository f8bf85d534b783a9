"""Pages of their own in Django's admin: they stand in its menu like a model, and have no forms of Django's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


class PagesAdmin(admin.ModelAdmin):
    """Shows templates of ours to whoever ``has_view_permission``, and nothing can be added, changed or deleted."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def require(self, request: HttpRequest) -> None:
        """Raise PermissionDenied for who may not see these pages."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def show(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        """Answer with a template of ``sync/``. Raises PermissionDenied."""
        self.require(request)
        known = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **context}
        return TemplateResponse(request, f"sync/{template}.html", known)

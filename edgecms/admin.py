"""The admin site: each ModelAdmin may choose its address, and the index is ordered by what people come for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, include, path, reverse

from edgecms.sent import handed_back

LOGGED_OUT = "You are not logged in any more."
GROUPS = (
    ("Content", ("Page", "Section", "Asset", "Redirect")),
    ("From the site", ("Publication", "Submission")),
    ("Between replicas", ("Conflict", "Board")),
    ("Accounts", ("Editor", "Group")),
)


class AdminSite(admin.AdminSite):
    """Django's admin under the name of this project."""

    site_title = site_header = "edgecms"
    index_title = "Write, publish, look after"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return the stock addresses, with each ModelAdmin that has an ``address`` moved there under its stock names."""
        moved = {
            f"{model._meta.app_label}/{model._meta.model_name}/": path(model_admin.address, include(model_admin.urls))
            for model, model_admin in self._registry.items()
            if hasattr(model_admin, "address")
        }
        return [moved.get(str(entry.pattern), entry) for entry in super().get_urls()]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Return ``view`` for those who are logged in. Whoever no longer is has what he typed handed back, not a form to log in."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            login = reverse("admin:login", current_app=self.name)
            if request.method != "POST" or self.has_permission(request) or request.path == reverse("admin:logout"):
                return inner(request, *args, **kwargs)
            return handed_back(request, 403, LOGGED_OUT, "send it again", is_ours=True, login=login)

        return guarded

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the models in the groups of this module; what is in none of them stays with its app."""
        apps: list[Any] = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        grouped = []
        for name, members in GROUPS:
            found = {model["object_name"]: model for app in apps for model in app["models"]}
            models = [found[member] for member in members if member in found]
            for app in apps:
                app["models"] = [model for model in app["models"] if model not in models]
            if models:
                label = name.lower().replace(" ", "-")
                grouped.append({"name": name, "app_label": label, "app_url": "#", "has_module_perms": True, "models": models})
        return [*grouped, *(app for app in apps if app["models"])]

"""Who may do what in the editor: three groups, which every ``migrate`` makes complete.

Rights that an operator adds to a group stay. For other rights than these, make a group of your own.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions

PUBLISH = "content.publish_page"

AUTHOR = (
    "add_page", "change_page", "view_page",
    "add_asset", "change_asset", "view_asset",
    "view_section", "view_publication", "view_redirect",
)  # fmt: skip
EDITOR = (
    *AUTHOR,
    "delete_page", "publish_page", "delete_asset",
    "add_section", "change_section", "delete_section",
    "add_redirect", "change_redirect", "delete_redirect",
    "view_submission",
)  # fmt: skip
EVERYTHING = None

GROUPS: dict[str, tuple[str, ...] | None] = {"author": AUTHOR, "editor": EDITOR, "administrator": EVERYTHING}
"""Group -> names of permissions of ``content``; None for every permission there is."""


def make_groups(sender: AppConfig, using: str, **_: Any) -> None:
    """Give each group what ``GROUPS`` says. Called after every migrate, and harmless when repeated."""
    if not apps.is_installed("django.contrib.auth"):
        return
    for config in apps.get_app_configs():
        # Permissions are made by another receiver of the same signal, app by app; ours must not run before it.
        create_permissions(config, verbosity=0, using=using)
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    every = permission_model.objects.using(using)
    for name, codenames in GROUPS.items():
        group, _created = group_model.objects.using(using).get_or_create(name=name)
        granted = every.all() if codenames is None else every.filter(content_type__app_label="content", codename__in=codenames)
        group.permissions.add(*granted)

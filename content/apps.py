"""The Django app of content."""

from typing import Any

from django.apps import AppConfig
from django.db import transaction
from django.db.models.signals import post_migrate


class ContentConfig(AppConfig):
    """Sections, pages, blocks, assets, publications."""

    name = "content"

    def ready(self) -> None:
        from content.pagecache import stale  # noqa: F401
        from content.permissions import make_groups

        post_migrate.connect(make_groups, sender=self, dispatch_uid="content.permissions")
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="content.pagecache")


def after_migrate(**_: Any) -> None:
    """Show nothing that was rendered before the database was migrated."""
    from content.pagecache import stale

    with transaction.atomic():
        stale.derive()

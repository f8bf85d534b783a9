"""The Django app of content."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ContentConfig(AppConfig):
    """Sections, pages, blocks, assets, publications."""

    name = "content"

    def ready(self) -> None:
        from content.permissions import make_groups

        post_migrate.connect(make_groups, sender=self, dispatch_uid="content.permissions")

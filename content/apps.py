"""The Django app of content."""

from django.apps import AppConfig


class ContentConfig(AppConfig):
    """Sections, pages, blocks, assets, publications."""

    name = "content"

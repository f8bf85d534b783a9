"""Its label is short."""

from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "bench.wagtail_site.home"
    label = "home"

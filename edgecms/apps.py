"""The site as a Django app: it carries checks and the admin site."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class EdgecmsConfig(AppConfig):
    """Registers the checks of the environment."""

    name = "edgecms"
    default = True

    def ready(self) -> None:
        from edgecms import checks  # noqa: F401


class AdminConfig(SimpleAdminConfig):
    """Django's admin with our own site, so that the content editor has its address."""

    default = False
    default_site = "edgecms.admin.AdminSite"

    def ready(self) -> None:
        super().ready()
        import_module("django.contrib.admin").autodiscover()

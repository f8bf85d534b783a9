"""The site as a Django app: it carries checks and the admin site."""

import gc

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.core.checks import Tags


class EdgecmsConfig(AppConfig):
    """Registers the checks of the environment."""

    name = "edgecms"
    default = True

    def ready(self) -> None:
        from edgecms import checks  # noqa: F401

        # What is loaded by now lives as long as the process: the collector need not look through it again and again.
        gc.freeze()
        # Rings of objects, which it is there for, are rare here; changesets are made by the thousand, and are none.
        gc.set_threshold(20_000, 20, 20)


class AdminConfig(SimpleAdminConfig):
    """Django's admin with our own site, so that the content editor has its address.

    What is registered there is looked for by whoever serves or checks it, not by every command: ``edgecms.urls``, ``edgecms.checks``.
    """

    default = False
    default_site = "edgecms.admin.AdminSite"

    def ready(self) -> None:
        from edgecms import checks

        checks.register(checks.admin_is_sound, Tags.admin)

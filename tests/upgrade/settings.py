"""A replica of a site with the app ``garden``, in the release that the environment names."""

import os

from edgecms.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.upgrade.garden"]  # noqa: F405
MIGRATION_MODULES = {"garden": f"tests.upgrade.garden.release{os.environ['GARDEN_RELEASE']}"}

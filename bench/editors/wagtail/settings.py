"""As ``bench.wagtail_site``, with the editor."""

from bench.wagtail_site.settings import *  # noqa: F403
from bench.wagtail_site.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = ["bench.editors.wagtail.pages", *INSTALLED_APPS]
ROOT_URLCONF = "bench.editors.wagtail.urls"
DATABASES["default"]["OPTIONS"] = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    "transaction_mode": "IMMEDIATE",
}
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

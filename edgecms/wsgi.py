"""The WSGI application that gunicorn serves. It does not come to be where ``manage.py check`` would find an error."""

from __future__ import annotations

import gc
import io
import logging
import os
import sys

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application

from content.pagecache.media import MediaFiles
from content.pagecache.wsgi import PageCache
from edgecms.metrics import count_kept

logger = logging.getLogger(__name__)

# The status by which a gunicorn worker says that the application cannot be loaded: gunicorn stops instead of trying again.
CANNOT_LOAD = 4


# The templates with which people wait the longest: those of the editor of pages, and what they extend and include.
TEMPLATES = (
    "admin/base.html",
    "admin/base_site.html",
    "admin/change_form.html",
    "admin/content/page/change_form.html",
    "admin/content/page/blocks.html",
    "admin/content/page/fieldset.html",
)


def checked_application() -> WSGIHandler:
    """Return Django's application. Exits with status 4 and the text of the checks where one of them fails."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edgecms.settings")
    django.setup()
    try:
        call_command("check", stdout=io.StringIO())
    except SystemCheckError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_LOAD)
    return get_wsgi_application()


def prepare() -> None:
    """Do once, before the workers are forked, what the first request of each would have to wait for: see docs/performance.md."""
    from django.template.loader import get_template
    from django.urls import reverse

    from sync import queues  # noqa: F401

    reverse("admin:index")
    for name in TEMPLATES:
        get_template(name)


def with_page_cache(inner: WSGIHandler) -> PageCache:
    """Put the folder of public pages and media in front of Django; pages of another release or of other settings are gone from it."""
    from content.pagecache import stale

    folder = stale.folder()
    try:
        folder.settle(stale.fingerprint())
    except OSError as error:
        logger.warning("the folder of pages cannot be written: %s; pages are rendered for each request", error)
    return PageCache(MediaFiles(inner, folder, count=count_kept), folder, count=count_kept)


application = with_page_cache(checked_application())
prepare()
gc.freeze()  # workers are forked from here: what the collector does not touch, they go on sharing

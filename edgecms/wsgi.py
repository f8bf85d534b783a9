"""The WSGI application that gunicorn serves. It does not come to be where ``manage.py check`` would find an error."""

from __future__ import annotations

import io
import os
import sys

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application

# The status by which a gunicorn worker says that the application cannot be loaded: gunicorn stops instead of trying again.
CANNOT_LOAD = 4


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


application = checked_application()

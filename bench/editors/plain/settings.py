"""Django's defaults for production, on SQLite as durable as that of edgecms."""

import os
from pathlib import Path

from bench import stock

FOLDER = Path(os.environ["BENCH_FOLDER"])
SECRET_KEY = "bench"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "bench.editors.plain",
    *stock.APPS,
]  # fmt: skip
MIDDLEWARE = [
    stock.SECURITY,
    *stock.MIDDLEWARE,
]
ROOT_URLCONF = "bench.editors.plain.urls"
TEMPLATES = stock.TEMPLATES
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", "transaction_mode": "IMMEDIATE"},
    }
}
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

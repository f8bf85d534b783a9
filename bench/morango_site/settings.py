"""Settings: SQLite as durable as the databases of replicas are, and nothing that Morango does not need."""

import os

SECRET_KEY = "bench"
ALLOWED_HOSTS = ["*"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"], "OPTIONS": {"timeout": 60}}
}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "morango", "bench.morango_site"]
MIDDLEWARE = []
ROOT_URLCONF = "morango.urls"
REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": [], "DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LOGGING_CONFIG = None

"""Environment in, Django settings out. Every variable is described in docs/operating.md."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_urlsafe

from csp.constants import NONCE, NONE, SELF

from edgecms.cache import caches
from edgecms.database import databases
from edgecms.environment import read
from edgecms.secret import own_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = read(os.environ)

# What the replication needs to know; read by sync.conf.
SYNC = {
    "NODE": ENVIRONMENT.node,
    "LOC": ENVIRONMENT.loc,
    "ROLE": ENVIRONMENT.role,
    "FARM": ENVIRONMENT.farm,
    "URL": ENVIRONMENT.url,
    "DATA": ENVIRONMENT.data,
    "INTERVAL": ENVIRONMENT.sync_interval,
    "MAX_CLOCK_DRIFT": ENVIRONMENT.max_clock_drift,
    "REDIS_URL": ENVIRONMENT.redis_url,
}

# With a mistake in the environment nothing will start (check edgecms.E001), so nothing is made either.
SECRET_KEY = ENVIRONMENT.secret_key
if not ENVIRONMENT.mistakes:
    try:
        (ENVIRONMENT.data / "static").mkdir(parents=True, exist_ok=True)
        SECRET_KEY = SECRET_KEY or own_secret_key(ENVIRONMENT.data)
    except OSError as error:
        ENVIRONMENT = ENVIRONMENT.with_folder_that_takes_no_files(error)
SECRET_KEY = SECRET_KEY or token_urlsafe(50)
DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENVIRONMENT.csrf_trusted_origins

INSTALLED_APPS = [
    "edgecms",
    "content",
    "sync",
    "content_editor",
    "django_prose_editor",
    "django_extensions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "edgecms.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    # Before the host is checked: a probe asks by an address that no ALLOWED_HOSTS names. And before requests are counted.
    "edgecms.health.ProbesMiddleware",
    "edgecms.metrics.MetricsMiddleware",
    "edgecms.problems.StorageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sync.middleware.AuthorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# What /readyz asks. Each is a function without arguments that returns why this replica is not ready, or an empty text.
READY_CHECKS = [
    "edgecms.health.migrated",
    "edgecms.health.database_writable",
    "edgecms.health.folder_writable",
]

ROOT_URLCONF = "edgecms.urls"
# The form of a page has a dozen inputs for each block.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
FORM_RENDERER = "content.forms.renderer.PlainRenderer"
WSGI_APPLICATION = "edgecms.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = databases(ENVIRONMENT.database_url, ENVIRONMENT.data)
CACHES = caches(ENVIRONMENT.redis_url, ENVIRONMENT.data, ENVIRONMENT.name)
# Who is believed about the address of a visitor, as gunicorn believes them about https.
TRUSTED_PROXIES = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1").split(",")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "content.Editor"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

SITE_NAME = "edgecms"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.data / "static"
MEDIA_URL = "/media/"
# Files are served from the apps themselves until `collectstatic` was run; nothing waits for a build step.
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.url.startswith("https://")
# Replicas on one machine differ by port only, and browsers do not tell cookies apart by port.
SESSION_COOKIE_NAME = f"edgecms_session_{ENVIRONMENT.name.lower()}"
CSRF_COOKIE_NAME = f"edgecms_csrf_{ENVIRONMENT.name.lower()}"
CSRF_FAILURE_VIEW = "edgecms.problems.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [SELF],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissionsOrAnonReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "content.api.pagination.Pages",
    "PAGE_SIZE": 20,
    "EXCEPTION_HANDLER": "edgecms.problems.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "edgecms",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["content.api.schema.only_v1"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "content.api.schema.add_problems"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx2": {"level": "WARNING"}, "httpcore2": {"level": "WARNING"}, "huey": {"level": "WARNING"}},
}

"""The cache that all processes of a replica share: in Redis, or in a folder. What is in it may be gone at any time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PATIENCE = 0.5  # seconds that a request waits for a Redis that does not answer
MOST = 2000  # entries of the folder; each write counts them


def caches(redis_url: str, data: Path, name: str) -> dict[str, Any]:
    """Return Django's ``CACHES`` for the replica ``name``, which may share its Redis with others."""
    if redis_url:
        options = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE}
        backend: dict[str, Any] = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_url,
            "OPTIONS": options,
        }
    else:
        place = {"LOCATION": str(data / "cache"), "OPTIONS": {"MAX_ENTRIES": MOST}}
        backend = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", **place}
    return {"default": {**backend, "KEY_PREFIX": f"edgecms:{name}"}}

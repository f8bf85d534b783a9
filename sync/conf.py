"""The settings of replication, every bound with its unit. Values come from ``settings.SYNC``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings


def _get(key: str, default: Any = None) -> Any:
    return settings.SYNC.get(key, default)


def name() -> str:
    """The name of this replica, ``NODE-LOC``."""
    return f"{_get('NODE')}-{_get('LOC')}"


def role() -> str:
    """``master``, ``node`` or ``edge``."""
    return str(_get("ROLE"))


def farm() -> str:
    """The farm of an edge, or the one that a node hosts; empty for none."""
    return str(_get("FARM", ""))


def url() -> str:
    """Where other replicas reach this one."""
    return str(_get("URL"))


def data() -> Path:
    """The folder that holds everything this replica owns."""
    return Path(_get("DATA"))


def interval() -> float:
    """Seconds between sweeps."""
    return float(_get("INTERVAL", 1800))


def max_clock_drift_ms() -> int:
    """Milliseconds that a peer's clock may run ahead before its changesets are held."""
    return int(float(_get("MAX_CLOCK_DRIFT", 300)) * 1000)


def redis_url() -> str:
    """Redis for messages; empty for the embedded queue."""
    return str(_get("REDIS_URL", ""))

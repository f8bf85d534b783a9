"""What the environment says, parsed once, with every mistake kept instead of raised.

``read`` never fails: a wrong value is replaced by its default and reported in ``Environment.mistakes``, so that the
system check ``edgecms.E001`` can name all of them at once and ``manage.py help`` still works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

NODE = re.compile(r"[A-Z][A-Z0-9]{0,15}")
LOC = re.compile(r"[A-Z0-9]{2,8}")
FARM = re.compile(r"[a-z0-9][a-z0-9-]{0,31}|")
ROLES = ("master", "node", "edge")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One variable whose value was not accepted."""

    variable: str
    value: str
    accepted: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The settings of CONTRACT order: identity, places, databases, times (seconds), Django's own."""

    node: str
    loc: str
    role: str
    farm: str
    data: Path
    url: str
    database_url: str
    redis_url: str
    sync_interval: float
    max_clock_drift: float
    secret_key: str
    debug: bool
    allowed_hosts: list[str]
    csrf_trusted_origins: list[str]
    mistakes: tuple[Mistake, ...]

    @property
    def name(self) -> str:
        """The replica's name, ``NODE-LOC``."""
        return f"{self.node}-{self.loc}"


class _Reader:
    """Takes values out of a mapping and remembers what was wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.mistakes: list[Mistake] = []

    def take(self, variable: str, default: T, parse: Callable[[str], T], accepted: str) -> T:
        raw = self.environ.get(variable)
        if raw is None:
            return default
        try:
            return parse(raw.strip())
        except ValueError:
            self.mistakes.append(Mistake(variable, raw, accepted))
            return default


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not pattern.fullmatch(raw):
            raise ValueError(raw)
        return raw

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in choices:
            raise ValueError(raw)
        return raw

    return parse


def _address(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(raw)
    return raw.rstrip("/")


def _database(raw: str) -> str:
    if raw and urlsplit(raw).scheme not in ("postgres", "postgresql", "sqlite"):
        raise ValueError(raw)
    return raw


def _redis(raw: str) -> str:
    if raw and urlsplit(raw).scheme not in ("redis", "rediss", "unix"):
        raise ValueError(raw)
    return raw


def _seconds(raw: str) -> float:
    value = float(raw)
    if not 0 < value < 10**9:
        raise ValueError(raw)
    return value


def _flag(raw: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False, "": False}
    if raw.lower() not in known:
        raise ValueError(raw)
    return known[raw.lower()]


def _list(raw: str) -> list[str]:
    return [item.strip() for item in raw.split(",") if item.strip()]


def read(environ: Mapping[str, str]) -> Environment:
    """Read every setting of this project from ``environ``; mistakes are kept in the result, never raised."""
    reader = _Reader(environ)
    take = reader.take
    url = take("EDGECMS_URL", "http://localhost:8000", _address, "an address such as https://edge01.example.org")
    host = urlsplit(url).hostname or "localhost"
    local = ["localhost", "127.0.0.1", "[::1]"]
    role = take("EDGECMS_ROLE", "master", _one_of(*ROLES), "master, node or edge")
    return Environment(
        node=take("EDGECMS_NODE", "MASTER01", _matching(NODE), "1 to 16 of A-Z and 0-9, a letter first"),
        loc=take("EDGECMS_LOC", "LOC", _matching(LOC), "2 to 8 of A-Z and 0-9"),
        role=role,
        farm=take("EDGECMS_FARM", "", _matching(FARM), "up to 32 of a-z, 0-9 and -, or empty"),
        data=take("EDGECMS_DATA", Path("data"), Path, "a folder").resolve(),
        url=url,
        database_url=take("DATABASE_URL", "", _database, "postgres://user:password@host:port/name, or empty for SQLite"),
        redis_url=take("REDIS_URL", "", _redis, "redis://host:port/number, or empty for the embedded queue"),
        sync_interval=take("EDGECMS_SYNC_INTERVAL", 1800.0, _seconds, "seconds, more than 0"),
        max_clock_drift=take("EDGECMS_MAX_CLOCK_DRIFT", 300.0, _seconds, "seconds, more than 0"),
        secret_key=take("SECRET_KEY", "", str, "a long random text"),
        debug=take("DEBUG", False, _flag, "1, true, yes, on or 0, false, no, off"),
        allowed_hosts=take("ALLOWED_HOSTS", [*dict.fromkeys([host, *local])], _list, "names, separated by commas"),
        csrf_trusted_origins=take("CSRF_TRUSTED_ORIGINS", [url], _list, "origins, separated by commas"),
        mistakes=tuple(reader.mistakes),
    )

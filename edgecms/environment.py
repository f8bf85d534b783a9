"""What the environment says, parsed once, with every mistake kept instead of raised.

``read`` never fails: a wrong value is replaced by its default and reported in ``Environment.mistakes``, so that the
system check ``edgecms.E001`` can name all of them at once and ``manage.py help`` still works.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from sync.core import address

T = TypeVar("T")

NODE = re.compile(r"[A-Z][A-Z0-9]{0,15}")
LOC = re.compile(r"[A-Z0-9]{2,8}")
SECONDS = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
HOST = re.compile(r"\*|\.?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
ROLES = ("master", "node", "edge")
FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False, "": False}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One variable whose value was not accepted. A value that may hold a password is not repeated in full."""

    variable: str
    value: str
    accepted: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The settings in the order of docs/operating.md: identity, places, databases, times (seconds), Django's own."""

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

    def with_folder_that_takes_no_files(self, error: OSError) -> Environment:
        """Return this with the mistake that nothing can be stored in ``data``."""
        accepted = f"a folder that takes files ({error.strerror}); make room, or name another"
        return replace(self, mistakes=(*self.mistakes, Mistake("EDGECMS_DATA", str(self.data), accepted)))


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
            self.mistakes.append(Mistake(variable, _without_password(raw), accepted))
            return default


def _without_password(raw: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", raw)


def _require(accepted: object, raw: str) -> None:
    if not accepted:
        raise ValueError(raw)


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        _require(pattern.fullmatch(raw), raw)
        return raw

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        _require(raw in choices, raw)
        return raw

    return parse


def _folder(raw: str) -> Path:
    """Return a folder that is there and can be written, making it where it is missing."""
    _require(raw, raw)
    path = Path(raw).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(raw) from error
    return path


def _split(raw: str, *schemes: str) -> SplitResult:
    parts = urlsplit(raw)
    _require(parts.scheme in schemes, raw)
    _require(parts.port != 0, raw)  # .port itself raises ValueError for what is no port
    return parts


def _trusted(raw: str) -> str:
    """Return an address of which the first part of the host may be a star, for all below it."""
    one = address.origin(raw.replace("://*.", "://any.", 1))
    return one.replace("://any.", "://*.", 1) if "://*." in raw else one


def _database(raw: str) -> str:
    if raw:
        _require(len(_split(raw, "postgres", "postgresql", "sqlite").path) > 1, raw)
    return raw


def _redis(raw: str) -> str:
    if raw:
        parts = _split(raw, "redis", "rediss", "unix")
        _require(parts.path if parts.scheme == "unix" else parts.hostname, raw)
        _require(parts.scheme == "unix" or re.fullmatch(r"/?|/\d+", parts.path), raw)
        _require_known_options(raw)
    return raw


def _require_known_options(raw: str) -> None:
    """Let the client take ``raw`` apart, as it will when it is used; nothing is connected. Raises ValueError."""
    from redis import ConnectionPool  # much to load for whoever has none

    try:
        pool = ConnectionPool.from_url(raw)
        pool.make_connection()
    except Exception as error:  # a word for a number, an option that there is not
        raise ValueError(raw) from error


def _seconds(raw: str) -> float:
    _require(SECONDS.fullmatch(raw), raw)  # float() takes 1_0, and the digits of every script
    value = float(raw)
    _require(math.isfinite(value) and 0 < value < 10**9, raw)
    return value


def _flag(raw: str) -> bool:
    _require(raw.lower() in FLAGS, raw)
    return FLAGS[raw.lower()]


def _list_of(parse: Callable[[str], str]) -> Callable[[str], list[str]]:
    return lambda raw: [parse(item.strip()) for item in raw.split(",") if item.strip()]


def read(environ: Mapping[str, str]) -> Environment:
    """Read every setting of this project from ``environ``; mistakes are kept in the result, never raised."""
    reader = _Reader(environ)
    take = reader.take
    url = take(
        "EDGECMS_URL", "http://localhost:8000", address.origin, "an address without a path, such as https://edge01.example.org"
    )
    host = urlsplit(url).hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    local = ["localhost", "127.0.0.1", "[::1]"]
    return Environment(
        node=take("EDGECMS_NODE", "MASTER01", _matching(NODE), "1 to 16 of A-Z and 0-9, a letter first"),
        loc=take("EDGECMS_LOC", "LOC", _matching(LOC), "2 to 8 of A-Z and 0-9"),
        role=take("EDGECMS_ROLE", "master", _one_of(*ROLES), "master, node or edge"),
        farm=take("EDGECMS_FARM", "", address.farm, f"{address.FARM_ACCEPTED}, or leave it empty"),
        data=take("EDGECMS_DATA", Path("data").resolve(), _folder, "a folder that this account may make or write"),
        url=url,
        database_url=take("DATABASE_URL", "", _database, "postgres://user:password@host:port/name, or empty for SQLite"),
        redis_url=take("REDIS_URL", "", _redis, "redis://host:port/number, or empty for the embedded queue"),
        sync_interval=take("EDGECMS_SYNC_INTERVAL", 1800.0, _seconds, "seconds, more than 0"),
        max_clock_drift=take("EDGECMS_MAX_CLOCK_DRIFT", 300.0, _seconds, "seconds, more than 0"),
        secret_key=take("SECRET_KEY", "", str, "a long random text"),
        debug=take("DEBUG", False, _flag, "1, true, yes, on or 0, false, no, off"),
        allowed_hosts=take(
            "ALLOWED_HOSTS",
            [*dict.fromkeys([host, *local])],
            _list_of(_matching(HOST)),
            "host names without scheme, port or path, separated by commas",
        ),
        csrf_trusted_origins=take(
            "CSRF_TRUSTED_ORIGINS", [url], _list_of(_trusted), "addresses such as https://example.org, separated by commas"
        ),
        mistakes=tuple(reader.mistakes),
    )

"""The mark beside the database: a small file in EDGECMS_DATA that says how far this replica has written.

It is written after each commit, without waiting for the disk. So a crash leaves it behind the database and never ahead; where
it is ahead, the database was taken back to an earlier state.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

import orjson

from sync import conf

logger = logging.getLogger(__name__)

SIZE = 128  # bytes; written in place, in one piece


class Mark(NamedTuple):
    """``written``: how many changesets this replica had committed in its life, the last of them under ``incarnation``."""

    incarnation: str = ""
    written: int = 0


NONE = Mark()


def path() -> Path:
    """Where the mark stands."""
    return conf.data() / "mark.json"


def read() -> Mark:
    """Return the mark; ``NONE`` where there is none, or none that can be read."""
    try:
        found = orjson.loads(path().read_bytes())
        return Mark(str(found["incarnation"]), int(found["written"]))
    except (OSError, ValueError, TypeError, KeyError):
        return NONE


def write(mark: Mark) -> None:
    """Keep ``mark``. Trouble is logged and no more: what was committed is committed, and a mark that lags does no harm."""
    try:
        descriptor = os.open(path(), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, orjson.dumps(mark._asdict()).ljust(SIZE - 1) + b"\n", 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("the mark %s cannot be written, a database taken back would be found out late: %s", path(), error)

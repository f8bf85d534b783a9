"""Time and randomness of the simulated world: whatever a replica asks for is answered from the seed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from random import Random
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from sync import local
from sync.core import token

EPOCH_MS = 1_767_225_600_000  # 2026-01-01: where the wall clock of each run begins
TAGS = ("43AX", "07QB", "91ZK")  # few, so that equal titles make equal slugs


class Chance:
    """``wall_ms``: the true time; ``offset_ms``: by how much it is wrong where somebody looks; ``random``: the step's dice."""

    def __init__(self) -> None:
        self.wall_ms = EPOCH_MS
        self.offset_ms = 0
        self.random = Random(0)  # noqa: S311

    @property
    def ms(self) -> int:
        """Milliseconds since 1970 as the replica that looks sees them."""
        return self.wall_ms + self.offset_ms

    def now(self, tz: tzinfo | None = None) -> datetime:
        """Return the time on the wall."""
        return datetime.fromtimestamp(self.ms / 1000, tz or UTC)

    def token_bytes(self, count: int | None = None) -> bytes:
        """As ``secrets.token_bytes``."""
        return self.random.randbytes(32 if count is None else count)

    def token_hex(self, count: int | None = None) -> str:
        """As ``secrets.token_hex``."""
        return self.token_bytes(count).hex()

    def choice(self, items: Sequence[Any]) -> Any:
        """As ``secrets.choice``."""
        return self.random.choice(items)

    def _new_token(self, make: Any) -> Any:
        """Return the maker of tokens with dice from here, where its caller brings none."""
        return lambda replica, now=None, choose=self.choice: make(replica, now, choose)

    @contextmanager
    def rules(self) -> Iterator[None]:
        """Let this process take time and randomness from here."""
        clock: Any = type("SimulatedDatetime", (datetime,), {"now": staticmethod(self.now)})
        with ExitStack() as stack:
            for target, name, value in (
                (time, "time", lambda: self.ms / 1000),
                (time, "time_ns", lambda: self.ms * 1_000_000),
                (local, "uptime_ms", lambda: self.wall_ms),
                (timezone, "datetime", clock),
                (token, "datetime", clock),
                (token, "new_tag", lambda choose: choose(TAGS)),
                (token, "new_token", self._new_token(token.new_token)),
                (secrets, "choice", self.choice),
                (secrets, "token_bytes", self.token_bytes),
                (secrets, "token_hex", self.token_hex),
                (secrets, "token_urlsafe", self.token_hex),
                (secrets, "randbelow", lambda bound: self.random.randrange(bound)),
            ):
                stack.enter_context(patch.object(target, name, value))
            yield

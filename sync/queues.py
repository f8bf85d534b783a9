"""The two queues that carry wake-ups: a file, and Redis. Loaded by whoever sends or takes a message, since huey is much to load."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from huey import Huey, RedisHuey, SqliteHuey
from huey.storage import SqliteStorage

from sync.bell import Bell

logger = logging.getLogger(__name__)

PATIENCE = 3  # seconds; more than the one that the worker blocks for a message
PAUSE = 1.0  # seconds between two tries with a queue that fails
LOOK = 1.0  # seconds after which who waits for a message looks for one, though no bell rang


class _Patient:
    """What both queues share: one that fails is told of once, not at every look, and what was missed is made up for.

    A worker touches the queue in one place, where it takes the next message. All that huey asks besides is answered here.
    """

    ill = False
    recovered: threading.Event  # set when the queue answers again: messages may have been lost

    def dequeue(self) -> Any:
        """Return the next message, or None; where the queue fails, None after a pause."""
        try:
            task = super().dequeue()  # type: ignore[misc]
        except Exception as error:
            if not self.ill:
                logger.warning("the queue gives no messages, the next sweep catches up: %s", error)
            self.ill = True
            time.sleep(PAUSE)
            return None
        if self.ill:
            logger.warning("the queue gives messages again")
            self.ill = False
            self.recovered.set()
        return task

    def read_schedule(self, timestamp: Any = None) -> list[Any]:
        """Nothing is ever scheduled; so nobody needs to look every second."""
        return []

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        """No message is ever revoked; so a queue that dies now keeps nobody from working off what was taken from it."""
        return False

    def delete(self, key: str) -> bool:
        """Nothing is kept of a message, so nothing has to go: one that was worked off asks the queue no more."""
        return False


class _HintStorage(SqliteStorage):
    """huey's file, without waiting for the disk: what a loss of power takes away is a hint. The file stays whole."""

    def _create_connection(self) -> Any:
        made = super()._create_connection()
        made.execute("PRAGMA synchronous=NORMAL")
        return made


class FileQueue(_Patient, SqliteHuey):
    """Messages in a file, and a bell beside it, so that nobody has to look into it over and over."""

    storage_class = _HintStorage
    bell: Bell

    def listen(self) -> None:
        """Let ``dequeue`` wait for a message, where it can."""
        self.storage.blocking = self.bell.listen()

    def nudge(self) -> None:
        """Let nobody wait for a message just now."""
        self.bell.ring()

    def leave(self) -> None:
        """Listen no more."""
        self.storage.blocking = False
        self.bell.close()

    def enqueue(self, task: Any) -> Any:
        """Put a message in and ring."""
        result = super().enqueue(task)
        self.bell.ring()
        return result

    def dequeue(self) -> Any:
        """Return the next message; or None, after some waiting where one listens."""
        task = super().dequeue()
        if task is None and self.storage.blocking:
            self.bell.wait(LOOK)
        return task


class RedisQueue(_Patient, RedisHuey):
    """Messages in Redis, which lets who wants one wait for it."""

    def listen(self) -> None:
        """Let ``dequeue`` wait for a message: it does."""

    def nudge(self) -> None:
        """Nobody waits longer than a second."""

    def leave(self) -> None:
        """Nothing is left behind."""


def in_file(name: str, file: Path) -> Huey:
    """Return the queue ``name`` in ``file``."""
    made = FileQueue(name, filename=str(file), results=False)
    made.bell = Bell(file.with_suffix(".bell"))
    return _watched(made)


def in_redis(name: str, url: str) -> Huey:
    """Return the queue ``name`` in the Redis at ``url``."""
    return _watched(RedisQueue(name, connection_pool=_pool(url), results=False))


def _watched(made: Huey) -> Huey:
    made.recovered = threading.Event()
    return made


def _pool(url: str) -> Any:
    """Connections to a Redis that keeps no writer waiting: where it does not answer, it is not asked again and again."""
    from redis import ConnectionError as Unreachable
    from redis import ConnectionPool
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    retry = Retry(NoBackoff(), 1, (Unreachable,))  # once: a connection may be left from before a restart
    return ConnectionPool.from_url(url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=retry)

"""Messages: wake-ups by huey, on a file by default and on Redis with REDIS_URL. They carry hints, never data.

Whatever is lost here, the next sweep finds: a queue that is empty, gone or refuses to take a message costs time, nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import Any

from django.db import close_old_connections
from django.dispatch import receiver

from sync import conf, signals, storage

logger = logging.getLogger(__name__)

EVERYBODY = ""
ENOUGH = 16  # messages in a queue, of which each is a hint to look at everything
PAUSE = 1.0  # seconds between two tries with a queue that takes nothing


@lru_cache(maxsize=1)
def queue() -> Any:
    """Return the queue of this replica, made at first use."""
    from sync import queues

    name = f"edgecms-{conf.name().lower()}"
    if conf.redis_url():
        return queues.in_redis(name, conf.redis_url())
    conf.data().mkdir(parents=True, exist_ok=True)
    return queues.in_file(name, conf.data() / "queue.sqlite3")


@lru_cache(maxsize=1)
def task() -> Any:
    """Return the one kind of message there is."""
    return queue().task(name="wake")(_woken)


def wake(peer: str = EVERYBODY, source: str = "") -> None:
    """Ask the worker to exchange soon: with ``peer``, or with all whom a change concerns that ``source`` brought ("": made here).

    The queue's trouble is not the writer's: a message that it does not take is kept, and sent by a thread when it does again.
    """
    if _unsent.waits():
        _unsent.keep(peer, source)
        return
    try:
        _send(peer, source)
    except Exception as error:
        logger.warning("the queue does not take a wake-up, the next sweep catches up: %s", error)
        _unsent.keep(peer, source)


def _send(peer: str, source: str) -> None:
    """A queue that holds many messages needs no further one: whoever works it off will find this change too."""
    if queue().pending_count() < ENOUGH:
        task()(peer, source)


class _Unsent:
    """Messages that the queue did not take, each once. They are lost with the process: they are hints."""

    def __init__(self) -> None:
        self._messages: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def waits(self) -> bool:
        """Say whether something is waiting, so that nobody else needs to find out that the queue fails."""
        return bool(self._messages)

    def keep(self, peer: str, source: str) -> None:
        """Keep a message; a thread sends it when the queue takes it."""
        with self._lock:
            is_first = not self._messages
            self._messages.add((peer, source))
        if is_first:
            threading.Thread(target=self._send, name="unsent messages", daemon=True).start()

    def _send(self) -> None:
        while True:
            time.sleep(PAUSE)
            with self._lock:
                found = set(self._messages)
            try:
                for message in sorted(found):
                    _send(*message)
            except Exception as error:
                logger.debug("the queue still takes no wake-up: %s", error)
                continue
            with self._lock:
                self._messages -= found
                if not self._messages:
                    break
        logger.warning("the queue takes wake-ups again")


_unsent = _Unsent()


@receiver(signals.announced)
def _after_commit(source: str, **_: Any) -> None:
    wake(EVERYBODY, source)


def _woken(peer: str, source: str = "") -> None:
    """Exchange with ``peer``; for everybody: push where allowed, and wake those who may only pull from here."""
    from sync import sweep

    close_old_connections()
    try:
        sweep.react_at_once(peer, source)
    except Exception as error:
        known = storage.trouble(error)
        if known is None:
            raise
        logger.warning("%s: %s", known.code, known)
        _unsent.keep(peer, source)  # it comes again, until it can be worked off
    finally:
        close_old_connections()

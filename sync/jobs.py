"""Messages: wake-ups by huey, on a file by default and on Redis with REDIS_URL. They carry hints, never data.

Whatever is lost here, the next sweep finds: a queue that is empty, gone or refuses to take a message costs time, nothing else.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from django.db import close_old_connections
from django.dispatch import receiver
from huey import Huey, RedisHuey, SqliteHuey

from sync import conf, signals

logger = logging.getLogger(__name__)

EVERYBODY = ""
PATIENCE = 3  # seconds; more than the one that the worker blocks for a message
ENOUGH = 16  # messages in a queue, of which each is a hint to look at everything


@lru_cache(maxsize=1)
def queue() -> Huey:
    """Return the queue of this replica, made at first use."""
    name = f"edgecms-{conf.name().lower()}"
    if conf.redis_url():
        return RedisHuey(name, url=_with_timeouts(conf.redis_url()), results=False)
    conf.data().mkdir(parents=True, exist_ok=True)
    return SqliteHuey(name, filename=str(conf.data() / "queue.sqlite3"), results=False)


def _with_timeouts(url: str) -> str:
    """A Redis that does not answer keeps no writer waiting for longer than this."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}socket_connect_timeout={PATIENCE}&socket_timeout={PATIENCE}"


@lru_cache(maxsize=1)
def task() -> Any:
    """Return the one kind of message there is."""
    return queue().task(name="wake")(_woken)


def wake(peer: str = EVERYBODY) -> None:
    """Ask the worker to exchange soon: with ``peer``, or with all whom a local change concerns.

    A queue that holds many messages needs no further one: whoever works it off will find this change too.
    """
    try:
        if queue().pending_count() < ENOUGH:
            task()(peer)
    except Exception as error:  # whatever the queue's trouble is, it is not the writer's
        logger.warning("the queue does not take a wake-up, the next sweep catches up: %s", error)


@receiver(signals.announced)
def _after_commit(**_: Any) -> None:
    wake(EVERYBODY)


def _woken(peer: str) -> None:
    """Exchange with ``peer``; for everybody: push where allowed, and wake those who may only pull from here."""
    from sync import sweep

    close_old_connections()
    try:
        for result in sweep.react(peer):
            if result.error:
                logger.info("%s: %s", result.name, result.error["detail"])
    finally:
        close_old_connections()

"""What others may listen to: rows that changed by replication, and commits that peers may lack."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.dispatch import Signal

logger = logging.getLogger(__name__)

# Sent within the transaction, with ``rows``: set of (label of model, token) whose projection changed, local or received.
projected = Signal()
# Sent before the database is replaced as a whole, while nothing runs: forget what was derived from it outside of it.
replacing = Signal()
# Sent after a commit that made or applied changesets, with ``source``: peers may lack something.
announced = Signal()

_source: ContextVar[str] = ContextVar("source", default="")


@contextmanager
def brought_by(name: str) -> Iterator[None]:
    """Name the replica ``name`` as the one that brings the changesets applied within: it tells others itself, whom it reaches."""
    before = _source.set(name)
    try:
        yield
    finally:
        _source.reset(before)


def announce() -> None:
    """Tell the listeners that peers may lack something; a listener that fails is logged, never the writer's trouble."""
    for receiver, result in announced.send_robust(sender=None, source=_source.get()):
        if isinstance(result, Exception):
            logger.warning("wake-up by %r failed, the next sweep catches up: %s", receiver, result)

"""What processes that were killed left behind and nobody will ever go on with. It is cleared when a sweep begins.

Whether a file is still somebody's is asked of its lock, or of the lease; never guessed by its age.
"""

from __future__ import annotations

import logging

from sync import blobs, conf, incoming, lease, scratch
from sync.backup import restoring

logger = logging.getLogger(__name__)


def clear() -> None:
    """Remove files that were being taken in, beginnings of blobs that are here, and what a restore had unpacked."""
    try:
        cleared = [path for path in blobs.unfinished() if scratch.clear(path)]
        cleared += [path for path in incoming.finished() if scratch.clear(path)]
        with lease.shared(conf.data()):  # so no restore is going on
            cleared += restoring.forget_attempts()
    except lease.BusyError:
        return
    except OSError as error:
        logger.info("what killed processes left behind cannot be cleared: %s", error)
        return
    if cleared:
        logger.info("cleared what killed processes left behind: %s", ", ".join(sorted(path.name for path in cleared)))

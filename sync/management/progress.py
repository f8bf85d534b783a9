"""How far long work has come: on a terminal as it goes, elsewhere by lines in the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

logger = logging.getLogger(__name__)

LOG_EVERY = 200  # changesets, or whatever is counted


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts ``what`` is done: on a terminal as it goes, elsewhere by a line in the log now and then."""
    console, done = Console(file=sys.stderr), 0
    columns = (SpinnerColumn(), TextColumn("{task.completed} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def count(more: int) -> None:
            nonlocal done
            bar.advance(task, more)
            if not console.is_terminal and (done + more) // LOG_EVERY > done // LOG_EVERY:
                logger.info("%d %s so far", done + more, what)
            done += more

        yield count

"""How far long work has come: on a terminal as it goes, elsewhere by lines in the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

FIRST, MOST = 200, 10_000  # changesets, or whatever is counted, until the first line in the log, and between two of them
Count = Callable[[int], None]


@contextmanager
def counting(what: str, of: str = "") -> Iterator[Count]:
    """Yield a function that counts ``what`` is done, ``of`` something: on a terminal as it goes, elsewhere by a line now and then."""
    with (_on_terminal if sys.stderr.isatty() else _in_log)(what, f"{of}: " if of else "") as count:
        yield count


@contextmanager
def _on_terminal(what: str, before: str) -> Iterator[Count]:
    from rich.console import Console  # much to load, and nothing for the log of a timer
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn(f"{{task.completed}} {what}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(before, total=None)
        yield lambda more: bar.advance(task, more)


@contextmanager
def _in_log(what: str, before: str) -> Iterator[Count]:
    done, due = 0, FIRST

    def count(more: int) -> None:
        nonlocal done, due
        done += more
        if done >= due:
            logger.info("%s%d %s so far", before, done, what)
            due = done + min(done, MOST)  # when it has doubled: a short pull says something, and a long one little

    yield count

"""Several peers at once: one that does not answer, or slowly, keeps no other waiting for long."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from django.db import connections

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks whether somebody asked to stop
AT_ONCE = 6  # threads of one call, each with a connection of its own; below the 8 of a PostgreSQL pool


class Visits:
    """Does a piece of work for each of many items, several at once, and never the same twice at once."""

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._again: set[str] = set()  # of them, those that somebody wanted meanwhile
        self._lock = threading.Lock()
        self.stopped = threading.Event()  # set: ``each`` waits no longer

    def each(
        self, items: Iterable[Item], name: Callable[[Item], str], work: Callable[[Item], Result], seconds: float
    ) -> list[Result]:
        """Return what ``work`` returned for ``items``, of those that are done within ``seconds``; others run on.

        An item whose earlier visit still runs is visited once more after it, without a result here; ``name`` tells items apart.
        """
        due = self._claim(items, name)
        count, done = len(due), queue.SimpleQueue[Result]()
        for _ in range(min(AT_ONCE, count)):
            context = contextvars.copy_context()  # with the author of what is written
            threading.Thread(target=context.run, args=(self._work, due, name, work, done), daemon=True).start()
        return self._gathered(done, count, seconds)

    def _claim(self, items: Iterable[Item], name: Callable[[Item], str]) -> deque[Item]:
        with self._lock:
            found = list(items)
            due = deque(item for item in found if name(item) not in self._busy)
            self._again.update(name(item) for item in found if name(item) in self._busy)
            self._busy.update(map(name, due))
        return due

    def _visit(self, item: Item, name: Callable[[Item], str], work: Callable[[Item], Result]) -> Result:
        try:
            result = work(item)
            while self._is_wanted_again(name(item)):
                result = work(item)
            return result
        except BaseException:
            with self._lock:
                self._busy.discard(name(item))
            raise

    def _is_wanted_again(self, name: str) -> bool:
        with self._lock:
            if name not in self._again:
                self._busy.discard(name)
                return False
            self._again.discard(name)
            return True

    def _work(
        self,
        due: deque[Item],
        name: Callable[[Item], str],
        work: Callable[[Item], Result],
        done: queue.SimpleQueue[Result],
    ) -> None:
        try:
            while due:
                try:
                    item = due.popleft()
                except IndexError:  # another thread was quicker
                    return
                try:
                    done.put(self._visit(item, name, work))
                except Exception:
                    logger.exception("the visit to %s failed in a way that nobody foresaw", name(item))
        finally:
            connections.close_all()

    def _gathered(self, done: queue.SimpleQueue[Result], count: int, seconds: float) -> list[Result]:
        found: list[Result] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline and not self.stopped.is_set():
            with contextlib.suppress(queue.Empty):
                found.append(done.get(timeout=LOOK))
        return found


class Gathered(Generic[Item]):
    """Gathers items for ``seconds``, each once, then hands them all to ``work``, in a thread of its own."""

    def __init__(self, seconds: float, work: Callable[[list[Item]], None]) -> None:
        self.seconds, self.work = seconds, work
        self._items: dict[Item, None] = {}
        self._lock = threading.Lock()

    def add(self, items: Iterable[Item]) -> None:
        """Add items; the first of them starts the time."""
        with self._lock:
            is_first = not self._items
            self._items.update(dict.fromkeys(items))
            if not (is_first and self._items):
                return
        timer = threading.Timer(self.seconds, self._go)
        timer.daemon = True
        timer.start()

    def _go(self) -> None:
        with self._lock:
            items, self._items = list(self._items), {}
        try:
            self.work(items)
        except Exception:
            logger.exception("what was gathered could not be worked off; the next sweep catches up")
        finally:
            connections.close_all()

"""What each peer was last seen to hold, and when."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from sync import exchange
from sync.db import sql
from sync.ends import Held, TipAt, summary
from sync.models import Contact

logger = logging.getLogger(__name__)

SELDOM = timedelta(seconds=30)  # between two notes of a contact that brought nothing new


def saw(name: str, tips: Iterable[TipAt], lacking: Iterable[bytes] | None) -> None:
    """Note that ``name`` was in touch, holds ``tips``, and lacks a value of the changesets ``lacking`` (None: that is not known).

    Writes nothing where that was noted a moment ago.
    """
    found = sorted(set(tips))
    saw_all_of(name, Held(found, summary(found)), lacking)


def saw_all_of(name: str, held: Held, lacking: Iterable[bytes] | None) -> None:
    """Note that ``name`` was in touch and holds just ``held``. Where that is known it costs one statement, whatever it holds."""
    dots = None if lacking is None else [dot.hex() for dot in lacking]
    known = Contact.objects.filter(name=name).values_list("summary", "lacking", "error", "last_contact").first()
    now = timezone.now()
    if known is None or known[0] != held.summary:
        tips = exchange.tips_as_json(held.tips)
        _note(name, tips=tips, summary=held.summary, lacking=dots, last_contact=now, error=None)
    elif known[1] != dots or known[2] or not _is_fresh(known[3], now):
        _note(name, lacking=dots, last_contact=now, error=None)


def _is_fresh(last: datetime | None, now: datetime) -> bool:
    return last is not None and now - last < SELDOM


def last_seen(name: str) -> list[TipAt] | None:
    """Return what ``name`` held at the last exchange; None where that failed, or where there was none."""
    contact = Contact.objects.filter(name=name, error__isnull=True, last_contact__isnull=False).first()
    return None if contact is None else exchange.tips_from_json(contact.tips)


def failed(name: str, error: dict[str, str]) -> None:
    """Note that an exchange with ``name`` did not work, and why."""
    _note(name, error=error)


def failing() -> set[str]:
    """Return the names of those with whom the last exchange did not work."""
    return set(Contact.objects.filter(error__isnull=False).values_list("name", flat=True))


def _note(name: str, **what: Any) -> None:
    """Write it down where that is possible: a replica whose disk is full is pulled from all the same.

    Where a loss of power takes it back, what stands here is older, as if the peer had not spoken yet.
    """
    try:
        with sql.without_waiting_for_the_disk():
            if not Contact.objects.filter(name=name).update(**what):
                Contact.objects.update_or_create(name=name, defaults=what)
    except DatabaseError as problem:
        logger.info("that %s was in touch is not written down: %s", name, problem)

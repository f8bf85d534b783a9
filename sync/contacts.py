"""What each peer was last seen to hold, and when."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from sync import exchange
from sync.models import Contact

logger = logging.getLogger(__name__)

SELDOM = timedelta(seconds=30)  # between two notes of a contact that brought nothing new


def saw(name: str, tips: Iterable[exchange.TipAt], lacking: Iterable[bytes] | None) -> None:
    """Note that ``name`` was in touch, holds ``tips``, and lacks a value of the changesets ``lacking`` (None: that is not known).

    Writes nothing where that was noted a moment ago.
    """
    dots = None if lacking is None else [dot.hex() for dot in lacking]
    now, lines = timezone.now(), exchange.tips_as_json(tips)
    contact = Contact.objects.filter(name=name).first()
    fresh = contact is not None and contact.last_contact is not None and now - contact.last_contact < SELDOM
    if contact is None or not fresh or contact.tips != lines or contact.lacking != dots or contact.error:
        _note(name, tips=lines, lacking=dots, last_contact=now, error=None)


def last_seen(name: str) -> list[exchange.TipAt] | None:
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
    """Write it down where that is possible: a replica whose disk is full is pulled from all the same."""
    try:
        Contact.objects.update_or_create(name=name, defaults=what)
    except DatabaseError as problem:
        logger.info("that %s was in touch is not written down: %s", name, problem)

"""What each peer was last seen to hold, and when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from sync import exchange
from sync.models import Contact

SELDOM = timedelta(seconds=30)  # between two notes of a contact that brought nothing new


def saw(name: str, tips: Iterable[exchange.TipAt]) -> None:
    """Note that ``name`` was in touch and holds ``tips``. Writes nothing where that was noted a moment ago."""
    now, lines = timezone.now(), exchange.tips_as_json(tips)
    contact = Contact.objects.filter(name=name).first()
    fresh = contact is not None and contact.last_contact is not None and now - contact.last_contact < SELDOM
    if contact is None or not fresh or contact.tips != lines or contact.error:
        Contact.objects.update_or_create(name=name, defaults={"tips": lines, "last_contact": now, "error": None})


def failed(name: str, error: dict[str, str]) -> None:
    """Note that an exchange with ``name`` did not work, and why."""
    Contact.objects.update_or_create(name=name, defaults={"error": error})

"""New incarnations: a database that was taken back or copied goes on under new chains, before its next write.

Its numbers may have been given out already, by what it was before or by its twin; under a new incarnation none is given out
twice. Nothing is believed without proof: where the database stands, how far the mark beside it had come, or a changeset that
bears our own signature and is not here.
"""

from __future__ import annotations

import logging

from django.db import transaction

from sync import conf, keys, local, mark, place
from sync.mark import Mark
from sync.models import Chain, Local

logger = logging.getLogger(__name__)

REMEMBERED = 100  # former incarnations


def ensure() -> Local:
    """Return the row of this replica, under a new incarnation if the present one may be written elsewhere.

    Called within a transaction that holds the turn. Of several processes that find the same reason one acts on it: what it
    writes into the row takes the reason away from the others.
    """
    own, noted, where, key = local.state(), mark.read(), place.here(), keys.public_text()
    reason = _why_new(own, noted, where, key)
    if reason:
        return renew(reason, own)
    if (own.place, own.key) != (where, key):
        _adopt(own, noted, where, key)
    return own


def _why_new(own: Local, noted: Mark, where: str, key: str) -> str:
    """Return what speaks against going on under the present incarnation; empty where nothing does."""
    is_new_here = not own.place
    if own.key and own.key != key:
        return "this replica has another key"
    if not own.key and Chain.objects.filter(name=conf.name(), incarnation=own.incarnation).exclude(key=key).exists():
        return "this replica has another key"
    if not is_new_here and own.place != where:
        return "the database was copied or moved"
    if noted.written > own.written and (not is_new_here or noted.incarnation == own.incarnation):
        return f"the database was taken back: it has {own.written} changesets of its own, and had {noted.written}"
    if not is_new_here and noted != mark.NONE and noted.incarnation not in (own.incarnation, *own.former.split()):
        return "the database is another than before"
    return ""


def _adopt(own: Local, noted: Mark, where: str, key: str) -> None:
    """Take over place and key: the database is new, or of a release that did not keep them. The mark may be an old one."""
    own.place, own.key = where, key
    own.written = max(own.written, noted.written)
    own.former = _with(own.former, noted.incarnation if noted.incarnation != own.incarnation else "")
    own.save(update_fields=["place", "key", "written", "former"])
    note(own)


def renew(reason: str, own: Local | None = None) -> Local:
    """Go on under a new incarnation and return the row. Called within a transaction that holds the turn."""
    own, noted = own or local.state(), mark.read()
    before = own.incarnation
    own.former = _with(own.former, noted.incarnation if noted.incarnation != before else "", before)
    own.incarnation = local.new_incarnation()
    own.written = max(own.written, noted.written) + 1
    own.place, own.key = place.here(), keys.public_text()
    own.save(update_fields=["incarnation", "former", "written", "place", "key"])
    after = own.incarnation
    transaction.on_commit(
        lambda: logger.warning("%s.%s goes on as %s.%s: %s", conf.name(), before, conf.name(), after, reason), robust=True
    )
    note(own)
    return own


def note(own: Local) -> None:
    """Write the mark once the transaction has committed."""
    reached = Mark(own.incarnation, own.written)
    transaction.on_commit(lambda: mark.write(reached), robust=True)


def _with(former: str, *more: str) -> str:
    """Return the list of former incarnations with ``more``."""
    return " ".join([*former.split(), *filter(None, more)][-REMEMBERED:])

"""Applying changesets so that one which raises, or ends the process, stops no other.

What cannot be shown is a row that is not projected. Only what cannot even be folded into registers does not count here; it is
named with the reason, and tried again by ``sync_replay`` and after an upgrade.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import transaction

from sync import suspects
from sync.core.changeset import Changeset
from sync.fold import rows_of
from sync.models import Entry
from sync.project import is_of_the_machine
from sync.rebuild import apply, refold

logger = logging.getLogger(__name__)

FAILED = "apply_failed"
CRASHED = f"{FAILED}: the process ended each time that this was applied"


def apply_each(changesets: Iterable[Changeset], crashes: int = suspects.CRASHES) -> dict[bytes, str]:
    """Apply ``changesets``, which are in the log already, in a transaction; return those that could not be, with the reason.

    Those are quarantined, without a try where one was alone at hand in ``crashes`` of the process. Raises what is no changeset's
    fault: a full disk, a lost connection.
    """
    found = list(changesets)
    if not found:
        return {}
    suspected = suspects.crashes()
    doubtful = [changeset for changeset in found if changeset.dot in suspected]
    failed: dict[bytes, str] = {}
    for changeset in doubtful:
        if suspected[changeset.dot] >= crashes:
            _quarantine(changeset, CRASHED, failed)
    is_in_order = _apply([changeset for changeset in found if changeset.dot not in suspected], failed)
    for changeset in doubtful:
        if changeset.dot not in failed:
            _apply([changeset], failed)
    done = {changeset.dot for changeset in doubtful if failed.get(changeset.dot) != CRASHED}
    if done:
        transaction.on_commit(lambda: suspects.clear(done))
    # Others may have taken for applied, and so forgotten that they had overwritten it, what failed or was applied after them.
    late = {changeset.dot for changeset in doubtful} | failed.keys()
    rows = {row for changeset in found if changeset.dot in late for row in rows_of([changeset])}
    if not is_in_order:
        touched = Counter(row for changeset in found for row in rows_of([changeset]))
        rows |= {row for row, count in touched.items() if count > 1}
    refold(rows)
    return failed


def _apply(part: Sequence[Changeset], failed: dict[bytes, str], is_quick: bool = True) -> bool:
    """Apply ``part`` at once, and say so; where that raises, in halves, down to the one that does.

    After that the quick way is not taken: what it lets pass might raise when the same rows are folded again.
    """
    error = _attempt(part, is_quick=is_quick) if part else None
    if error is None:
        return True
    if len(part) > 1:
        _apply(part[: len(part) // 2], failed, is_quick=False)
        _apply(part[len(part) // 2 :], failed, is_quick=False)
        return False
    logger.warning("the changeset %s cannot be shown as it is", part[0].dot.hex(), exc_info=error)
    error = _attempt(part, row_by_row=True)
    if error is not None:
        _quarantine(part[0], f"{FAILED}: {type(error).__name__}: {error}", failed)
    return False


def _quarantine(changeset: Changeset, reason: str, failed: dict[bytes, str]) -> None:
    failed[changeset.dot] = reason[:200]
    Entry.objects.filter(dot=changeset.dot).update(state=Entry.State.QUARANTINED, reason=reason[:200])
    logger.error("%s; the changeset %s is quarantined: mend this, then sync_replay", reason, changeset.dot.hex())


def _attempt(part: Sequence[Changeset], row_by_row: bool = False, is_quick: bool = False) -> Exception | None:
    try:
        with suspects.at_hand([changeset.dot for changeset in part]), transaction.atomic():
            apply(part, row_by_row, is_quick)
    except Exception as error:
        if is_of_the_machine(error):
            raise
        return error
    return None

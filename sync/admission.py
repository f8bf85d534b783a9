"""What counts: a function of the trusted list and of the wall clock's bound, evaluated again whenever either changes."""

from __future__ import annotations

from collections.abc import Iterable

from sync import claims, conf, local, log, trusting
from sync.core.changeset import Changeset
from sync.core.policy import TRUST, may_write
from sync.core.trust import TrustList
from sync.fold import rows_of
from sync.models import Chain, Entry
from sync.rebuild import apply, rebuild, show_names
from sync.registers import RowKey


def judge(trust: TrustList, changeset: Changeset, key: str) -> tuple[int, str]:
    """Return the state of a changeset that is not held, of a chain with ``key``, and the reason of a quarantine."""
    party = trust.party_at(changeset.head.name, trusting.position(changeset, key), trusting.is_below)
    if party is None:
        return Entry.State.QUARANTINED, "origin_revoked"
    if not may_write(party, changeset.head.scope):
        return Entry.State.QUARANTINED, "not_allowed"
    return Entry.State.APPLIED, ""


def readmit(names: Iterable[str]) -> int:
    """Judge everything that ``names`` wrote anew; return how many changesets changed their state."""
    trust = trusting.current()
    touched: set[RowKey] = set()
    renamed: set[RowKey] = set()
    count = 0
    for chain in Chain.objects.filter(name__in=list(names)):
        for number in sorted(set(chain.entry_set.exclude(state=Entry.State.HELD).values_list("segment_id", flat=True))):
            for changeset in log.segment(number):
                if changeset.head.chain != (chain.name, chain.incarnation, chain.scope):
                    continue
                moved = _reconsider(trust, changeset, chain.key)
                if moved is not None:
                    count += 1
                    renamed |= moved
                    if chain.scope != TRUST:
                        touched |= rows_of([changeset])
    rebuild(touched)
    show_names(renamed)
    return count


def _reconsider(trust: TrustList, changeset: Changeset, key: str) -> set[RowKey] | None:
    """Judge anew; return the rows whose claimed names change by it, None where the changeset counts as it did."""
    state, reason = judge(trust, changeset, key)
    changed = Entry.objects.filter(dot=changeset.dot).exclude(state__in=[state, Entry.State.HELD])
    if not changed.update(state=state, reason=reason):
        return None
    return claims.note([changeset]) if state == Entry.State.APPLIED else claims.forget([changeset.dot])


def release() -> int:
    """Let count what was held because its clock ran ahead, where the wall clock has caught up; return how many."""
    bound = local.wall_ms() + conf.max_clock_drift_ms()
    trust = trusting.current()
    released: list[Changeset] = []
    for entry in Entry.objects.filter(state=Entry.State.HELD).order_by("position"):
        prev = bytes(entry.prev) if entry.prev else b""
        is_parent_held = Entry.objects.filter(dot=prev, state=Entry.State.HELD).exists()
        if entry.ms > bound or is_parent_held:
            continue
        changeset = log.changesets([bytes(entry.dot)])[bytes(entry.dot)]
        state, reason = judge(trust, changeset, entry.chain.key)
        Entry.objects.filter(pk=entry.pk).update(state=state, reason=reason)
        if state == Entry.State.APPLIED and changeset.head.scope != TRUST:
            released.append(changeset)
    if released:
        apply(released)
        local.set_clock(max(local.clock_of(local.state()), *(changeset.head.stamp for changeset in released)))
    return len(released)

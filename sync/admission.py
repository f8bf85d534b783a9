"""What counts: a function of the trusted list and of the wall clock's bound, evaluated again whenever either changes.

What is wrong with a changeset by itself (``fault``), or could not be applied here, does not count whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sync import claims, conf, isolation, local, log, trusting
from sync.core import bounds
from sync.core.changeset import ChainKey, Changeset, Op
from sync.core.policy import ALL, TRUST, Party, may_write
from sync.core.trust import IsBelow, Position, TrustList
from sync.db import sql
from sync.fold import rows_of
from sync.models import Chain, Entry
from sync.rebuild import CHUNK, refold, show_names
from sync.registers import Batch, RowKey, Slot
from sync.registry import spec_of

TOO_LARGE, WRONG_SCOPE, REVOKED, NOT_ALLOWED = "too_large", "wrong_scope", "origin_revoked", "not_allowed"
FAULTS = (TOO_LARGE, WRONG_SCOPE, isolation.FAILED)  # reasons that no change of the trusted list takes away
Verdict = tuple[int, str]  # a state, and the reason of a quarantine


def fault(changeset: Changeset) -> str:
    """Return what is wrong with ``changeset`` by itself, whoever made it: a code and a sentence; an empty text for nothing."""
    excess = bounds.excess(changeset.head, changeset.raw)
    if excess:
        return f"{TOO_LARGE}: {excess}"[:200]
    # A row written in a scope that its model does not belong to would look different, for ever, to those who hold the one scope only.
    scope, is_shared = changeset.head.scope, changeset.head.scope in (ALL, TRUST)
    wrong = [label for label in {op.model for op in changeset.head.ops} if _is_misplaced(label, is_shared)]
    return f"{WRONG_SCOPE}: {min(wrong)} does not belong into the scope {scope}" if wrong else ""


def _is_misplaced(label: str, is_shared: bool) -> bool:
    model = spec_of(label)
    return model is not None and model.is_for_all is not is_shared


def is_tip(dot: str, tips: list[str]) -> bool:
    """Say whether ``dot`` is at or below a closing tip, of one that just comes: what is below another is here already."""
    return dot in tips


PAGE = 500  # changesets that are held, looked at together


def judge(
    trust: TrustList, changeset: Changeset, key: str, is_below: IsBelow = is_tip, verdict: Verdict | None = None
) -> Verdict:
    """Return the state of a changeset that is not held, of a chain with ``key``, and the reason of a quarantine.

    ``verdict`` is the one on its whole chain, where that is known: see ``judge_chain``.
    """
    found = fault(changeset)
    if found:
        return Entry.State.QUARANTINED, found
    if verdict is not None:
        return verdict
    party = trust.party_at(changeset.head.name, trusting.position(changeset, key), is_below)
    return _verdict(party, changeset.head.scope)


def judge_chain(trust: TrustList, chain: ChainKey, key: str) -> Verdict | None:
    """Return the verdict on whatever stands in ``chain``; None where it hangs on the place: the incarnation was closed at tips."""
    entry = trust.entries.get(chain.name)
    closed = entry.closed.get(chain.incarnation) if entry else None
    if closed is not None and closed.tips is not None:
        return None
    return _verdict(trust.party_at(chain.name, Position(chain.incarnation, key, ""), is_tip), chain.scope)


def _verdict(party: Party | None, scope: str) -> Verdict:
    if party is None:
        return Entry.State.QUARANTINED, REVOKED
    if not may_write(party, scope):
        return Entry.State.QUARANTINED, NOT_ALLOWED
    return Entry.State.APPLIED, ""


def readmit(names: Iterable[str]) -> int:
    """Judge everything that ``names`` wrote anew; return how many changesets count now that did not.

    O(what they wrote, and the history of the rows that this concerns), in bounded memory.
    """
    trust = trusting.current()
    turned: dict[int, int] = {}
    for chain in Chain.objects.filter(name__in=list(names)):
        turned |= _judge_chain(trust, chain)
    _follow(sorted(turned))
    return list(turned.values()).count(Entry.State.APPLIED)


def _judge_chain(trust: TrustList, chain: Chain) -> dict[int, int]:
    """Set the states of what a chain holds; return position -> state of those that count now and did not, or the other way round."""
    verdict = _verdict_of(trust, chain)
    turned: dict[int, int] = {}
    changes: dict[Verdict, list[int]] = {}
    for position, dot, state, reason in _entries(chain):
        wanted = verdict(dot)
        if wanted != (state, reason):
            changes.setdefault(wanted, []).append(position)
        if wanted[0] != state:
            turned[position] = int(wanted[0])
    for (state, reason), positions in changes.items():
        sql.update(log.ENTRY, "position", ("state", "reason"), [(int(state), reason, position) for position in positions])
    return turned


def _entries(chain: Chain) -> Iterator[tuple[int, bytes, int, str]]:
    """Yield position, dot, state and reason of what a chain holds, but for held and faulty entries."""
    rows = Entry.objects.filter(chain=chain).exclude(state=Entry.State.HELD).order_by("seq")
    for position, dot, state, reason in rows.values_list("position", "dot", "state", "reason").iterator(chunk_size=CHUNK):
        if not (state == Entry.State.QUARANTINED and reason.startswith(FAULTS)):
            yield position, bytes(dot), state, reason


def _verdict_of(trust: TrustList, chain: Chain) -> Callable[[bytes], Verdict]:
    """Return what decides about the changesets of ``chain``, by their dots."""
    place = Position(chain.incarnation, chain.key, "")
    inside = _verdict(trust.party_at(chain.name, place, lambda dot, tips: True), chain.scope)
    outside = _verdict(trust.party_at(chain.name, place, lambda dot, tips: False), chain.scope)
    if inside == outside:
        return lambda dot: inside
    closed = trust.entries[chain.name].closed[chain.incarnation]
    below = log.path_to([bytes.fromhex(tip) for tip in closed.tips or ()], chain.pk)
    return lambda dot: inside if dot in below else outside


def _follow(positions: list[int]) -> None:
    """Let registers, rows and claims follow from entries whose state was turned."""
    rows: set[RowKey] = set()
    turned: list[tuple[int, Changeset]] = []
    for entry, changeset in log.at(positions):
        if changeset.head.scope == TRUST:
            continue
        turned.append((entry.state, changeset))
        rows |= rows_of([changeset])
        if len(rows) >= CHUNK or len(turned) >= CHUNK:
            _derive(rows, turned)
            rows, turned = set(), []
    _derive(rows, turned)


def _derive(rows: set[RowKey], turned: list[tuple[int, Changeset]]) -> None:
    fresh = [changeset for state, changeset in turned if state == Entry.State.APPLIED]
    moved = claims.forget(changeset.dot for _, changeset in turned) | claims.note(fresh)
    refold(rows, fresh)
    show_names(moved)


def release() -> int:
    """Let count what was held because its clock ran ahead, where the time of day has caught up; return how many count now."""
    if not is_anything_held():
        return 0
    own = local.state()
    bound = local.now_ms(own) + conf.max_clock_drift_ms()
    _, count, released = _release(log.waiting().filter(state=Entry.State.HELD, ms__lte=bound).order_by("position"))
    if released:
        local.set_clock(max(local.clock_of(own), *(changeset.head.stamp for changeset in released)))
    return count


def is_anything_held() -> bool:
    """Say whether any changeset is held here."""
    return sql.exists(log.ENTRY, f"state > 0 AND state = {Entry.State.HELD:d}")


def release_overwritten(dots: Iterable[bytes]) -> int:
    """Let count what is held in the chains of ``dots``, where what counts names all that it did; return how many count now.

    Such clocks can win nothing any more, and nobody's clock is moved by them. So ends what a clock that ran ahead has written,
    once its replica has repeated it under the right time.
    """
    chains = {entry.chain for entry in log.known(dots).values() if entry.state == Entry.State.HELD}
    return sum(_release_overwritten(chain) for chain in sorted(chains))


def _release_overwritten(chain: int) -> int:
    """Go through a chain from the first that is held, as long as all of a page can be released."""
    held = log.waiting().filter(state=Entry.State.HELD, chain=chain).exclude(chain__scope=TRUST).order_by("position")
    count = 0
    while page := list(held[:PAGE]):
        changesets = log.changesets(bytes(entry.dot) for entry in page)
        batch = Batch()
        batch.load(rows_of(changesets.values()))
        judged, more, _ = _release(entry for entry in page if _is_overwritten(batch, changesets[bytes(entry.dot)]))
        count += more
        if judged < len(page):
            break
    return count


def _is_overwritten(batch: Batch, changeset: Changeset) -> bool:
    return all(_is_named(batch.slots.get(RowKey(op.model, op.token)), op, changeset.dot) for op in changeset.head.ops)


def _is_named(slot: Slot | None, op: Op, dot: bytes) -> bool:
    """Whether what counts names all that ``op`` of the changeset ``dot`` did to a row: each write; a deletion by another or an answer."""
    if slot is None:
        return False
    if op.seen is not None:
        return dot in slot.row.waiting() or any(dot in seen for seen in slot.row.deletes.values())
    return all(dot in slot.row.gone.get(write.key, ()) for write in op.writes)


def _release(held: Iterable[Entry]) -> tuple[int, int, list[Changeset]]:
    """Let ``held``, which are in order of arrival, count unless one before it in its chain is held.

    Returns how many were judged, how many of them count now, and of these the ones of content.
    """
    held = list(held)
    if not held:  # as after nearly every batch
        return 0, 0, []
    trust, is_below = trusting.current(), trusting.is_below_once()
    released: list[Changeset] = []
    judged, count = 0, 0
    for entry in held:
        prev = bytes(entry.prev) if entry.prev else b""
        if Entry.objects.filter(dot=prev, state=Entry.State.HELD).exists():
            continue
        changeset = log.changesets([bytes(entry.dot)])[bytes(entry.dot)]
        state, reason = judge(trust, changeset, entry.chain.key, is_below)
        Entry.objects.filter(pk=entry.pk).update(state=state, reason=reason)
        judged += 1
        count += state == Entry.State.APPLIED
        if state == Entry.State.APPLIED and changeset.head.scope != TRUST:
            released.append(changeset)
    count -= len(isolation.apply_each(released))
    return judged, count, released

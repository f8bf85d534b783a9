"""Making changesets: one for each scope that a transaction touched; numbered, chained, signed, logged, folded into registers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from sync import capture, claims, conf, incarnation, keys, local, log, pending, signals
from sync.columns import check_fits
from sync.core import bounds, signing, wire
from sync.core.changeset import ChainKey, Changeset, Head, Op, Write, decode, detach, encode
from sync.core.clock import ZERO, Timestamp
from sync.core.errors import TooLargeError, UnwritableError
from sync.core.policy import ALL
from sync.difference import Change, RowChange, row_change
from sync.fold import fold
from sync.models import Entry, Local, Tip
from sync.project import project
from sync.rebuild import rename
from sync.recognition import Register, writes_shown_as
from sync.registers import Batch, RowKey, Slot
from sync.registry import spec
from sync.sight import Sight
from sync.values import Values

SCHEMA = "1"


@dataclass(slots=True)
class Draft:
    """A changeset in the making. ``refs`` gives each dot its index."""

    ops: list[Op] = field(default_factory=list)
    refs: dict[bytes, int] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)

    def index(self, dots: Iterable[bytes]) -> list[int]:
        """Return the indexes of ``dots`` among the references."""
        return sorted(self.refs.setdefault(dot, len(self.refs)) for dot in dots)

    def write(self, name: str, element: str | None, value: Any, over: Iterable[bytes], latest: bool = False) -> Write:
        """Return a write; a long value is put beside."""
        if bounds.is_too_deep(value):
            raise TooLargeError(f"{name} is nested deeper than {bounds.MAX_DEPTH} levels; make it flatter, or store it as text")
        inline, text = detach(value)
        if text is not None:
            self.texts.append(text)
        return Write(name, element, inline, self.index(over), latest)


def flush(using: str) -> None:
    """Make the changesets of the open transaction. Called by the database backends, just before the commit."""
    held = pending.of(using)
    before, seen, shown, session = dict(held.before), dict(held.seen), dict(held.shown), held.session
    held.clear()
    after = capture.current_values(using, before)
    found = [
        row_change(declared, place[1], before[place], after.get(place), declared.in_ops(seen.get(place, {})))
        for place in before
        if (declared := spec(place[0])) is not None
    ]
    rows = [change for change in found if not change.is_nothing]
    if not rows:
        return
    _check_immutable(rows)
    own = incarnation.ensure()
    batch, values = Batch(), Values()
    batch.load(_key(row) for row in rows)
    sight = Sight({RowKey(model._meta.label_lower, token): each for (model, token), each in shown.items()}, session, values)
    rows = [sight.without_overtaken(_key(row), row) for row in rows]
    drafts: dict[str, Draft] = {}
    for row in rows:
        scope = _scope(row, batch)
        _draft_row(drafts.setdefault(scope, Draft()), row, batch.slot(_key(row), scope), values, sight)
    made = [make(scope, draft, own, sight.clock) for scope, draft in sorted(drafts.items()) if draft.ops]
    _apply(batch, rows, made)
    sight.remember(made)


def _check_immutable(rows: Iterable[RowChange]) -> None:
    """Raise TypeError, which takes the transaction back, where rows that are made once are altered or deleted: nobody would show it."""
    for row in rows:
        if row.model.immutable and row.before is not None:
            raise TypeError(f"{row.model.label} {row.token} is made once, and neither altered nor deleted; make another one")


def _key(row: RowChange) -> RowKey:
    return RowKey(row.model.label, row.token)


def _scope(row: RowChange, batch: Batch) -> str:
    slot = batch.slots.get(_key(row))
    scope = slot.scope if slot else row.model.scope(row.after or row.before or {})
    if (scope == ALL) is not row.model.is_for_all:
        raise UnwritableError(
            f"{row.model.label} {row.token} is given the scope {scope!r}; a model with a scope has rows of farms only"
        )
    return scope


def _draft_row(draft: Draft, row: RowChange, slot: Slot, values: Values, sight: Sight) -> None:
    if row.after is None:
        seen = sight.deletion(_key(row), slot)
        draft.ops.append(Op(row.model.label, row.token, [], draft.index(slot.row.dots() if seen is None else seen)))
        return
    _check_columns(row)
    writes = [
        draft.write(
            change.field.name,
            change.element,
            change.value,
            _over(row, change, slot, values, sight),
            change.field.policy == "latest",
        )
        for change in row.changes
    ]
    if writes:
        draft.ops.append(Op(row.model.label, row.token, writes))


def _check_columns(row: RowChange) -> None:
    """Raise UnwritableError for what the database here has taken and another replica's could not hold."""
    for change in row.changes:
        if change.element is None:
            try:
                check_fits(change.field, change.field.from_json(change.value))
            except ValueError as error:
                raise UnwritableError(f"{row.model.label} {row.token} cannot be written: {error}") from None


def _over(row: RowChange, change: Change, slot: Slot, values: Values, sight: Sight) -> list[bytes]:
    """Return the writes that the author had seen: those that a form had shown, the heads that say what was shown, or their
    ancestors that do."""
    heads = slot.row.heads.get(change.key, ())
    if row.before is None:
        return [*heads, *slot.row.deletes]
    if not heads or change.saw_all or change.field.policy == "latest":
        return list(heads)
    if (shown := sight.over(_key(row), change.key, slot)) is not None:
        return shown
    if len(heads) == 1 and not change.is_stale:
        return list(heads)
    return writes_shown_as(change.saw, values, Register(_key(row), change.field, change.element), heads)


def make(scope: str, draft: Draft, own: Local, after: Timestamp = ZERO) -> Changeset:
    """Return the next changeset of this replica's chain for ``scope``, later than ``after``, signed and in the log.

    ``own`` is the row of this replica, as ``incarnation.ensure`` returns it.
    """
    key = ChainKey(conf.name(), own.incarnation, scope)
    chain = log.chain(key, keys.public_text())
    tip = Tip.objects.filter(chain=chain).order_by("-seq").first()
    now = local.now_ms(own)
    if after.is_ahead(now, conf.max_clock_drift_ms()):
        after = ZERO  # of a form that was opened while the clock ran ahead
    stamp = local.clock_of(own).merge(after).next(now)
    head = Head(
        **key._asdict(),
        seq=tip.seq + 1 if tip else 1,
        clock=(stamp.ms, stamp.counter),
        author=pending.author.get(),
        schema=SCHEMA,
        prev=bytes(tip.dot).hex() if tip else None,
        refs=[dot.hex() for dot in draft.refs],
        ops=draft.ops,
    )
    changeset = sign(head, draft.texts)
    local.count(own, stamp)
    incarnation.note(own)
    log.append(log.pack([changeset]), [log.Record(changeset, chain.pk, Entry.State.APPLIED)])
    transaction.on_commit(signals.announce)
    return changeset


def sign(head: Head, texts: Sequence[bytes]) -> Changeset:
    """Return ``head`` as a signed changeset. Raises TooLargeError for what no receiver would take."""
    raw = encode(head)
    excess = bounds.excess(head, raw)
    if excess:
        raise TooLargeError(f"{excess}; do it in several transactions, or store it as one value")
    size = len(raw) + sum(map(len, texts))
    if size > wire.MAX_CHANGESET_BYTES:
        raise TooLargeError(f"one transaction writes {size} bytes; split it: the bound is {wire.MAX_CHANGESET_BYTES}")
    unsigned = decode(raw, b"", texts)
    signature = signing.sign_changeset(keys.private(), unsigned.id)
    return Changeset(raw, signature, unsigned.head, unsigned.id, unsigned.values)


def _apply(batch: Batch, rows: Sequence[RowChange], made: Sequence[Changeset]) -> None:
    """Fold what was made here into the registers, and put right the columns that no longer show what these say."""
    for changeset in made:
        fold(batch, changeset)
    for row in rows:
        slot = batch.slots[_key(row)]
        # Of several heads, what is shown may be another value than the one just written.
        contested = {change.key for change in row.changes if len(slot.row.heads.get(change.key, ())) > 1}
        slot.changed = contested.union(*(_keys(slot, name) for name in row.restore))
        slot.alive = row.after is not None
        slot.dirty = slot.dirty or bool(row.restore)
    batch.settle()
    rename(batch, claims.note(made) | _misnamed(rows))
    project(batch, Values(made), left=_wholes_left(rows))
    batch.save()


def _wholes_left(rows: Sequence[RowChange]) -> set[RowKey]:
    """Return the wholes of which parts were deleted, or moved elsewhere."""
    found: set[RowKey] = set()
    for row in rows:
        name, whole = row.model.composition, row.model.whole
        before = (row.before or {}).get(name or "")
        if whole is not None and before and before != (row.after or {}).get(name or ""):
            found.add(RowKey(whole.label, str(before)))
    return found


def _misnamed(rows: Sequence[RowChange]) -> set[RowKey]:
    """Return the rows whose columns show a claim where somebody else has the value."""
    found: set[RowKey] = set()
    for row in rows:
        shown = {change.field.name for change in row.changes} & row.model.claimers.keys()
        tokens = {str((row.after or {}).get(reference or "", row.token)) for _, reference in row.model.claimers.values()}
        if shown and claims.displaced(tokens):
            found.add(_key(row))
    return found


def _keys(slot: Slot, name: str) -> list[str]:
    return [key for key in slot.row.heads if key == name or key.startswith(f"{name}/")]

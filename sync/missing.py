"""Values that are wanted here and have not come yet: a compacted replica sends the heads of changesets without all their values.

Wanted is what a row has to show, what a claim says, and on a master everything, since the others drop what a master holds.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sync import conf, local, log
from sync.core import wire
from sync.core.changeset import Changeset, digests, is_dot
from sync.core.errors import MalformedError
from sync.core.policy import Party, Role, is_entitled
from sync.db import sql
from sync.models import Local, MissingValue, Register
from sync.registers import Batch, RowKey
from sync.registry import spec_of
from sync.values import Values

Pair = tuple[bytes, str]  # dot of a changeset, digest of a value that its head names
MAX_PAIRS = 1000  # of one request or answer
MAX_ASKED = 20_000  # of one exchange
MANY = 100  # heads of a register, beyond which nobody asks for the values of all


def note(pairs: Iterable[Pair]) -> None:
    """Keep that these values are wanted. Called within a transaction."""
    rows = sorted({(digest, dot) for dot, digest in pairs})
    if rows:
        MissingValue.objects.bulk_create([MissingValue(digest=d, dot=dot) for d, dot in rows], ignore_conflicts=True)


def note_unshown(batch: Batch, values: Values) -> None:
    """Note what the rows of ``batch`` that could not be shown lack, after they were projected with ``values``."""
    for key, slot in batch.slots.items():
        if slot.dirty and not slot.projected:
            for name, heads in slot.row.heads.items():
                for dot in heads if len(heads) <= MANY else [values.shown(heads)]:
                    _ask(values, key, name, dot)
    note(values.absent)


def _ask(values: Values, key: RowKey, name: str, dot: bytes) -> None:
    try:
        values.value(key, name, dot)
    except (KeyError, ValueError):  # what is absent is remembered by ``values``
        return


def note_incomplete(changesets: Iterable[Changeset]) -> None:
    """Note what is wanted of changesets that came without all of their values: everything on a master, claims elsewhere."""
    incomplete = [changeset for changeset in changesets if not changeset.is_complete]
    if not incomplete:
        return
    if conf.role() == Role.MASTER:
        note((changeset.dot, digest) for changeset in incomplete for digest in changeset.absent())
        return
    Local.objects.filter(pk=1, sparse=False).update(sparse=True)
    note((changeset.dot, digest) for changeset in incomplete for digest in _claimed(changeset) & changeset.absent())


def _claimed(changeset: Changeset) -> set[str]:
    found: set[str] = set()
    for op in changeset.head.ops:
        model = spec_of(op.model)
        for write in op.writes if model else ():
            field = model.fields.get(write.field) if model else None
            if field is not None and field.policy == "claim" and isinstance(write.value, dict):
                found.add(write.value["#"])
    return found


def all_pairs() -> list[Pair]:
    """Return what is wanted here."""
    _want_everything_as_master()
    if not sql.exists(MissingValue._meta.db_table, "1 = 1"):  # as nearly always; a third of the time of the question below
        return []
    return [(bytes(dot), digest) for dot, digest in MissingValue.objects.order_by("pk").values_list("dot", "digest")]


def some_pairs(most: int = MAX_ASKED) -> list[Pair]:
    """Return what one exchange asks for: everything, or of very much a part that begins anywhere, so that nothing starves."""
    pairs = all_pairs()
    start = random.randrange(len(pairs)) if len(pairs) > most else 0  # noqa: S311
    return (pairs[start:] + pairs[:start])[:most]


def count() -> int:
    """Return how many values are wanted here."""
    _want_everything_as_master()
    return MissingValue.objects.count() if sql.exists(MissingValue._meta.db_table, "1 = 1") else 0


def _want_everything_as_master() -> None:
    """A replica that was made a master wants what it had dropped, or had done without."""
    if conf.role() == Role.MASTER and local.state().sparse:
        for _, changeset in log.scan(state=None):
            note((changeset.dot, digest) for changeset in [changeset] for digest in changeset.absent())
        Local.objects.filter(pk=1).update(sparse=False)


def pairs_for(me: Party, peer: Party) -> list[list[str]]:
    """Return up to ``MAX_PAIRS`` of what is wanted here, of scopes that both sides may hold, as JSON: dot, digest."""
    pairs = all_pairs()[:MAX_PAIRS]
    if not pairs:
        return []
    places = log.known({dot for dot, _ in pairs})
    scopes = {number: name.scope for number, (name, _) in log.chains(place.chain for place in places.values()).items()}
    allowed = {dot for dot, place in places.items() if all(is_entitled(side, scopes[place.chain]) for side in (me, peer))}
    return [[dot.hex(), digest] for dot, digest in pairs if dot in allowed]


def pairs_from_json(value: Any) -> list[Pair]:
    """Return the pairs of a peer's JSON; an older release has none. Raises MalformedError."""
    try:
        if len(value or ()) > MAX_PAIRS or not all(is_dot(dot) and isinstance(digest, str) for dot, digest in value or ()):
            raise MalformedError(f"values are named by up to {MAX_PAIRS} lists: dot, digest")
        return [(bytes.fromhex(dot), digest) for dot, digest in value or ()]
    except (TypeError, ValueError):
        raise MalformedError("values are named by lists: dot, digest") from None


def lacking(pairs: Collection[Pair]) -> list[bytes] | None:
    """Return of which changesets a peer lacks something, by what it wants; None where it wants more than it could say."""
    return None if len(pairs) >= MAX_PAIRS else sorted({dot for dot, _ in pairs})


def texts(pairs: Iterable[Pair], me: Party, peer: Party) -> Iterator[bytes]:
    """Yield the values that are here, of scopes that both sides may hold, each once."""
    wanted: dict[bytes, set[str]] = {}
    for dot, digest in pairs:
        wanted.setdefault(dot, set()).add(digest)
    dots, seen = sorted(wanted), set[str]()
    for start in range(0, len(dots), 100):
        for dot, changeset in log.changesets(dots[start : start + 100]).items():
            if all(is_entitled(side, changeset.head.scope) for side in (me, peer)):
                for digest in (wanted[dot] & changeset.values.keys()) - seen:
                    seen.add(digest)
                    yield changeset.values[digest]


def bodies(texts: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield frames of ``texts``, each filled up to about ``size`` bytes."""
    part, filled = list[bytes](), 0
    for text in texts:
        part.append(text)
        filled += len(text)
        if filled >= size:
            yield wire.pack_texts(part)
            part, filled = [], 0
    if part:
        yield wire.pack_texts(part)


def prune() -> None:
    """Forget what is wanted no more: a row that was to show it has been written again meanwhile. Called within a transaction."""
    pairs = all_pairs() if conf.role() != Role.MASTER else []  # a master wants everything until it has it
    for start in range(0, len(pairs), sql.CHUNK):
        part = pairs[start : start + sql.CHUNK]
        held = log.changesets({dot for dot, _ in part})
        rows = {row.stored for dot, digest in part if dot in held for row in rows_with(held[dot], digest)}
        waiting = {key for key, shown in sql.select_in(Register._meta.db_table, ["key", "projected"], "key", rows) if not shown}
        for dot, digest in part:
            if not _is_wanted(held.get(dot), digest, waiting):
                MissingValue.objects.filter(dot=dot, digest=digest).delete()


def _is_wanted(changeset: Changeset | None, digest: str, waiting: Collection[str]) -> bool:
    if changeset is None or digest not in changeset.absent():
        return False
    if digest in _claimed(changeset):
        return True
    return any(row.stored in waiting for row in rows_with(changeset, digest))


def rows_with(changeset: Changeset, digest: str) -> set[RowKey]:
    """Return the rows to which ``changeset`` wrote the value ``digest``."""
    if digest not in digests(changeset.head):
        return set()
    wanted = {"#": digest}
    return {RowKey(op.model, op.token) for op in changeset.head.ops if any(write.value == wanted for write in op.writes)}

"""The conflicts of this replica: what only a person can decide. ``sync.resolving`` carries the decision out.

There are two kinds.

- ``value``: a register (field ``title``, or key ``data/html`` of a map) of a row that lives has heads of different values, and they
  do not merge. All of ``versions`` are kept; the one that is ``shown`` stands in the row, the same on every replica. It goes with
  the row: whoever deletes all versions has decided, and one that he had not seen keeps the row, which is the other kind.
- ``deletion``: a row lives although somebody deleted it without having seen what keeps it alive (an edit, or a new part of it),
  and nobody has answered that deletion. ``deletions`` says who and when; ``versions`` are the unseen writes to the row, or else
  the latest to one of its parts.

``conflicts()`` lists them, ``of_rows`` those of a page and its blocks, ``find`` one of them, ``count()`` counts. All are read
from registers and log, in statements that do not grow with the rows that have no conflict.

Whoever decides hands back ``Conflict.seen``, the dots that were shown to him: only these are overwritten::

    conflict = find("content.page", token, "title")
    resolving.take(conflict.model, conflict.token, conflict.field, dot, conflict.seen)       # one of the versions
    resolving.write(conflict.model, conflict.token, conflict.field, value, conflict.seen)    # another value
    resolving.keep(conflict.model, conflict.token, conflict.seen)                            # of a deletion: the row stays
    resolving.delete(conflict.model, conflict.token, conflict.seen)                          # of a deletion: the row goes
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db.models import Q, QuerySet

from sync import merging
from sync.core.register import Row
from sync.core.text import Segment, differences
from sync.models import Register
from sync.registers import RowKey
from sync.registry import FieldSpec, ModelSpec, spec_of
from sync.values import Values

CHUNK = 50  # rows whose values are in memory at once
CHUNK_COUNTED = 500  # the same where all rows are looked at and nobody waits for the first


@dataclass(frozen=True, slots=True)
class Version:
    """One write, for people. ``dot`` names it, 32 hex digits; ``origin`` is ``name.incarnation`` of the replica that made it.

    ``value`` is JSON as it was written, None also where it is not held here any more (``is_held`` False). ``time`` is ISO 8601,
    UTC, of the writer's clock. ``field``: the name of the register that was written; None for a deletion. ``author`` is the
    account name, or the name of the command; empty where nobody was named.
    """

    dot: str
    value: Any
    origin: str
    author: str
    time: str
    shown: bool = False
    is_held: bool = True
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """What is to be decided. ``field`` is the name of the register within the row, None for a deletion.

    ``row``: the row as ``str`` names it, or its token where it cannot be shown. ``base``: the value that all authors had seen,
    None where there is none. ``versions``: the shown one first, then the latest first, of very many the
    latest hundred. ``seen``: what to hand back.
    """

    kind: str
    model: str
    token: str
    field: str | None
    row: str
    base: Any
    versions: tuple[Version, ...]
    deletions: tuple[Version, ...]
    seen: tuple[str, ...]
    is_text: bool = False
    is_markup: bool = False

    @property
    def shown(self) -> Version | None:
        """The version that stands in the row; of a deletion, the latest of the writes that keep the row."""
        return next((version for version in self.versions if version.shown), None)

    @property
    def others(self) -> list[Version]:
        """What is not shown: the other versions; of a deletion, the deletions."""
        return [version for version in self.versions if not version.shown] if self.kind == "value" else list(self.deletions)

    def differences(self, version: Version) -> list[list[Segment]]:
        """Return what ``version`` did to ``base``: paragraphs of segments, for people. See ``sync.core.text.differences``."""
        return differences(readable(self.base), readable(version.value), self.is_markup)

    def as_json(self) -> dict[str, Any]:
        """Return what ``sync_conflicts --json`` prints of this."""
        said = {key: getattr(self, key) for key in ("kind", "model", "token", "field", "row", "base")}
        shown = asdict(self.shown) if self.shown else None
        return {**said, "shown": shown, "others": [asdict(version) for version in self.others]}


def readable(value: Any) -> str:
    """Return a JSON value as text."""
    return value if isinstance(value, str) else "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Open:
    """A conflict as it is found: the row's registers, and the field where it is one of values."""

    key: RowKey
    row: Row
    model: ModelSpec
    field: FieldSpec | None = None
    element: str | None = None

    @property
    def name(self) -> str | None:
        """The name of the register."""
        return merging.key_of(self.field, self.element) if self.field else None

    @property
    def heads(self) -> tuple[bytes, ...]:
        """The heads of the register."""
        return self.row.heads[self.name] if self.name else ()

    def latest(self, values: Values) -> tuple[bytes, ...]:
        """Of very many heads the greatest, which are looked at first."""
        if len(self.heads) <= merging.MAX_LOOKED_AT:
            return self.heads
        values.read_orders(self.heads)
        return tuple(sorted(self.heads, key=values.order)[-merging.MAX_LOOKED_AT :])


def conflicts() -> Iterator[Conflict]:
    """Yield all conflicts, the oldest rows first."""
    for values, found in _search(open_rows()):
        yield from describe(values, found)


def of_rows(rows: Iterable[tuple[str, str]]) -> list[Conflict]:
    """Return the conflicts of ``rows``, each (label of a model, token): a page and its blocks, for its editor."""
    keys = [RowKey(*row).stored for row in rows]
    query = Register.objects.filter(Q(siblings=True) | Q(undecided=True), key__in=keys, alive=True)
    return [conflict for values, found in _search(query) for conflict in describe(values, found)]


def find(model: str, token: str, field: str | None) -> Conflict | None:
    """Return one conflict as it is now; None where there is none (any more)."""
    return next((conflict for conflict in of_rows([(model, token)]) if conflict.field == field), None)


def count() -> int:
    """Return how many conflicts there are."""
    return sum(len(found) for _, found in _search(open_rows(), CHUNK_COUNTED))


def open_rows() -> QuerySet[Register]:
    """Return the registers of rows that live and in which something is open, by the two indexes that have only these.

    Of the two conditions side by side SQLite takes neither index: it would read the registers of all rows. A deleted row keeps its
    registers, with all heads: a write that the deletion had not seen may bring it back.
    """
    siblings, undecided = (Register.objects.filter(**{flag: True}).values("key") for flag in ("siblings", "undecided"))
    return Register.objects.filter(key__in=siblings.union(undecided), alive=True)


def _search(query: Any, size: int = CHUNK) -> Iterator[tuple[Values, list[Open]]]:
    """Yield what is open, in chunks, each with the values at hand."""
    rows = query.order_by("key").values_list("model", "token", "state", "undecided").iterator(size)
    while chunk := list(islice(rows, size)):
        values, candidates = Values(), list[Open]()
        for label, token, state, undecided in chunk:
            model = spec_of(label)
            if model is not None:  # what is not known here is counted as deferred
                candidates += _candidates(RowKey(label, token), Row.decode(bytes(state)), model, undecided)
        _prefetch(values, candidates)
        yield values, [found for found in candidates if found.field is None or _differs(values, found)]


def _candidates(key: RowKey, row: Row, model: ModelSpec, undecided: bool) -> Iterator[Open]:
    if model.immutable:
        return  # it shows what its maker wrote, and is not deleted, whatever others say
    if undecided:
        yield Open(key, row, model)
    for name in row.siblings():
        field_name, _, element = name.partition("/")
        field = model.fields.get(field_name)
        if field is not None and field.policy not in ("set", "latest", "claim"):
            yield Open(key, row, model, field, element or None)


def _prefetch(values: Values, candidates: Sequence[Open]) -> None:
    values.prefetch({dot for found in candidates for dot in (*found.latest(values), *found.row.deletes)})
    by_model: dict[str, list[Open]] = {}
    for found in candidates:
        if found.field is not None:
            by_model.setdefault(found.key.model, []).append(found)
    for group in by_model.values():
        merging.prefetch(values, group[0].model, [(found.key, str(found.name), found.heads) for found in group])


def _differs(values: Values, found: Open) -> bool:
    """Whether the heads say different things and do not merge."""
    assert found.field is not None
    before = values.asked_in_vain
    said = {repr(merging.said(values, found.key, str(found.name), dot)) for dot in found.latest(values)}
    if len(said) == 1 or merging.merged(values, found.key, found.field, found.element, found.heads) is not None:
        return False
    # Of a text, what was dropped here may be all that a merge lacks; the row waits for it, and nobody is asked before.
    return not found.field.is_text(found.element) or values.asked_in_vain == before


# -- for people -------------------------------------------------------------------------------------------------------------------


def describe(values: Values, found: Sequence[Open]) -> Iterator[Conflict]:
    """Yield ``found`` with everything that a person has to know."""
    names = names_of({each.key for each in found})
    _prefetch_bases(values, found)
    for each in found:
        yield _of_values(values, each, names[each.key]) if each.field else _of_deletion(values, each, names[each.key])


def _prefetch_bases(values: Values, found: Sequence[Open]) -> None:
    """Read at once what the heads overwrote, and what that overwrote: mostly the base is among these."""
    level = {(each.key, str(each.name), dot) for each in found if each.field for dot in each.heads}
    for _ in range(2):
        level = {(key, name, seen) for key, name, dot in level for seen in values.over(key, name, dot)}
        values.read_orders({dot for _, _, dot in level})
        values.prefetch({dot for _, _, dot in level})


def names_of(keys: Collection[RowKey]) -> dict[RowKey, str]:
    """Return how each row is called, ``str`` of it; its token where it is not there or cannot be shown."""
    names = {key: key.token for key in keys}
    for label in {key.model for key in keys}:
        model = spec_of(label)
        rows = model.model._base_manager.in_bulk([key.token for key in keys if key.model == label]) if model else {}
        names.update((RowKey(label, token), _name(row)) for token, row in rows.items())
    return names


def _name(row: Any) -> str:
    try:
        return str(row)
    except Exception:  # what a peer has sent must not hide all other conflicts
        return str(row.pk)


def _of_values(values: Values, each: Open, name: str) -> Conflict:
    assert each.field is not None
    shown = merging.shown_head(values, each.key, each.field, each.element, each.heads)
    heads = sorted(each.latest(values), key=lambda dot: (dot == shown, values.order(dot)), reverse=True)
    return Conflict(
        kind="value",
        model=each.key.model,
        token=each.key.token,
        field=each.name,
        row=name,
        base=merging.base(values, each.key, each.field, each.element, each.heads),
        versions=tuple(version(values, each.key, each.name, dot, dot == shown) for dot in heads),
        deletions=(),
        seen=tuple(dot.hex() for dot in heads),
        is_text=each.field.is_text(each.element),
        is_markup=each.element in each.field.markup,
    )


def _of_deletion(values: Values, each: Open, name: str) -> Conflict:
    parts = parts_of(each.key, each.model)
    dots = {*each.row.dots(), *each.row.unanswered(), *(dot for row in parts.values() for dot in row.dots())}
    return Conflict(
        kind="deletion",
        model=each.key.model,
        token=each.key.token,
        field=None,
        row=name,
        base=None,
        versions=tuple(_keeping(values, each, parts)),
        deletions=tuple(version(values, each.key, None, dot) for dot in each.row.unanswered()),
        seen=tuple(sorted(dot.hex() for dot in dots)),
    )


def _keeping(values: Values, each: Open, parts: Mapping[RowKey, Row]) -> Iterator[Version]:
    """Yield what keeps a deleted row alive, the latest first: its own unseen writes, or else the latest write to a part."""
    writes = [(dot, each.key, key) for key, dots in each.row.unseen().items() for dot in dots]
    if not writes:
        writes = [(dot, row, key) for row, held in parts.items() for key, dots in held.unseen().items() for dot in dots]
    values.prefetch(dot for dot, _, _ in writes)
    values.read_orders(dot for dot, _, _ in writes)
    writes.sort(key=lambda write: (values.order(write[0]), write[1:]), reverse=True)
    for number, (dot, row, key) in enumerate(writes if each.row.own else writes[:1]):
        yield version(values, row, key, dot, number == 0)


def parts_of(key: RowKey, model: ModelSpec) -> dict[RowKey, Row]:
    """Return the registers of the rows that are parts of this one, and of the parts of these."""
    found: dict[RowKey, Row] = {}
    for part in model.parts:
        tokens = part.model._base_manager.filter(**{str(part.composition): key.token}).values_list("pk", flat=True)
        stored = [RowKey(part.label, token).stored for token in tokens]
        for token, state in Register.objects.filter(key__in=stored).values_list("token", "state"):
            found[RowKey(part.label, token)] = Row.decode(bytes(state))
            found.update(parts_of(RowKey(part.label, token), part))
    return found


def version(values: Values, row: RowKey, key: str | None, dot: bytes, shown: bool = False) -> Version:
    """Return one write to the register ``key``, or one deletion (None), as it is told to people."""
    changeset = values.changeset(dot)
    assert changeset is not None
    head = changeset.head
    value = merging.said(values, row, key, dot) if key is not None else None
    return Version(
        dot=dot.hex(),
        value=None if value is ... else value,
        origin=f"{head.name}.{head.incarnation}",
        author=head.author,
        time=datetime.fromtimestamp(min(head.clock[0], 253_402_300_799_000) / 1000, UTC).isoformat(timespec="milliseconds"),
        shown=shown,
        is_held=value is not ...,
        field=key,
    )

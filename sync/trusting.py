"""The trusted list of this replica: derived from the log, kept in a table, asked by commands, server and apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sync import conf, incarnation, keys, local, log
from sync.commit import Draft, make
from sync.core.changeset import Changeset, Op
from sync.core.errors import NeedsOperatorError
from sync.core.policy import TRUST, Party, Role
from sync.core.token import REPLICA
from sync.core.trust import (
    IsBelow,
    Open,
    Position,
    TrustEntry,
    TrustList,
    TrustWrite,
    entry_value,
    evaluate,
    parse_entry,
)
from sync.db import sql
from sync.models import Chain, Entry, Trusted
from sync.standing import until_the_list_changes

MODEL = "sync.trust"  # stands in ops where a model would; the token is a replica's name
FIELD = "entry"


def own_entry() -> TrustEntry:
    """Return what this replica says of itself, by its settings."""
    return TrustEntry({}, Open(Role(conf.role()), conf.farm(), conf.url(), keys.public_text()))


def root() -> tuple[str, TrustEntry]:
    """Return the pinned root of the site; a master without a pin is its own, anybody else has none ("")."""
    row = local.state()
    if row.root_name:
        return row.root_name, TrustEntry({}, Open(Role.MASTER, "", row.root_url, row.root_key))
    return (conf.name(), own_entry()) if conf.role() == Role.MASTER else ("", own_entry())


def current() -> TrustList:
    """Return the list as it stands in the table. A replica that nobody has entered knows at least itself and its root."""
    return TrustList(dict(_current().entries))


@until_the_list_changes
def _current() -> TrustList:
    found = TrustList({row.name: parse_entry(row.entry) for row in Trusted.objects.order_by("rank")})
    name, pinned = root()
    if name:
        found.entries.setdefault(name, pinned)
    found.entries.setdefault(conf.name(), own_entry())
    return found


def position(changeset: Changeset, key: str) -> Position:
    """Return where ``changeset`` stands, as the list names places; ``key`` is that of its chain."""
    return Position(changeset.head.incarnation, key, changeset.dot.hex())


def writes_of(changeset: Changeset, key: str) -> Iterable[TrustWrite]:
    """Yield the writes to the list in ``changeset``, of a chain with ``key``. What cannot be read as an entry counts as none."""
    refs = [ref.hex() for ref in changeset.refs()]
    for op in changeset.head.ops:
        for write in op.writes:
            if op.model != MODEL or write.field != FIELD or not REPLICA.fullmatch(op.token):
                continue
            try:
                entry = parse_entry(changeset.value(write))
            except (msgspec.ValidationError, KeyError, ValueError, TypeError, RecursionError):
                continue
            over = frozenset(refs[index] for index in write.over)
            yield TrustWrite(changeset.head.name, position(changeset, key), changeset.head.stamp, op.token, entry, over)


def _writes() -> list[TrustWrite]:
    """Return the writes to the list that can count: those by the root, and by whomever one of these calls a master.

    What others wrote into the scope is not even read, or an edge could make every change of the list as slow as it likes.
    """
    found: list[TrustWrite] = []
    masters, read = {root()[0]}, set[str]()
    while more := masters - read:
        read |= more
        for chain in Chain.objects.filter(scope=TRUST, name__in=more):
            found += _writes_in(chain)
        masters = {write.subject for write in found if write.entry.was_master} | read
    return found


_read: dict[tuple[bytes, str], list[TrustWrite]] = {}  # what changesets say, by their dots and keys: that never changes
ROOM = 20_000  # of these


def _writes_in(chain: Chain) -> Iterator[TrustWrite]:
    """Yield the writes of a chain in order of arrival. A changeset that this process has seen before is not read again."""
    places = [
        (at, bytes(dot)) for at, dot in Entry.objects.filter(chain=chain).order_by("position").values_list("position", "dot")
    ]
    found = {dot: _read[dot, chain.key] for _, dot in places if (dot, chain.key) in _read}
    for entry, changeset in log.at([position for position, dot in places if dot not in found]):
        found[entry.dot] = list(writes_of(changeset, chain.key))
        if changeset.is_complete:
            if len(_read) >= ROOM:
                _read.clear()
            _read[entry.dot, chain.key] = found[entry.dot]
    for _, dot in places:
        yield from found[dot]


def is_below_once() -> IsBelow:
    """Return an ``is_below`` that reads each path once, for many questions in a row."""
    paths: dict[tuple[str, ...], set[bytes]] = {}

    def is_below_tips(dot: str, tips: list[str]) -> bool:
        if (ends := tuple(tips)) not in paths:
            paths[ends] = log.path_to(bytes.fromhex(tip) for tip in tips)
        return bytes.fromhex(dot) in paths[ends]

    return is_below_tips


def refresh() -> set[str]:
    """Derive the list from the log anew; return the names of which it now says something else."""
    name, pinned = root()
    if not name:
        return set()
    trusted = evaluate(name, pinned, _writes(), is_below_once())
    entries = {subject: dict(entry_value(entry)) for subject, entry in trusted.entries.items()}
    before = {row.name: row for row in Trusted.objects.all()}
    changed = _write_down(entries, before)
    _leave_closed_incarnation(entries.get(conf.name()))
    return changed


def _write_down(entries: Mapping[str, dict[str, Any]], before: Mapping[str, Trusted]) -> set[str]:
    """Let the table, which holds ``before``, hold ``entries``, by what differs; return the names of which it says something else."""
    gone = before.keys() - entries.keys()
    if gone:
        sql.delete_in(Trusted._meta.db_table, "name", gone)
    changed = {name for name, entry in entries.items() if name not in before or before[name].entry != entry}
    rows = [
        Trusted(name=name, rank=rank, entry=entry)
        for rank, (name, entry) in enumerate(entries.items())
        if name in changed or before[name].rank != rank
    ]
    Trusted.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=["rank", "entry"])
    return changed | gone


def _leave_closed_incarnation(entry: Mapping[str, Any] | None) -> None:
    """Go on under a new incarnation where the list has closed the present one: what is written under it counts no more."""
    row = local.state()
    if entry is not None and row.incarnation in entry["closed"]:
        incarnation.renew("the trusted list has closed it", row)


def writes_about(subject: str) -> list[TrustWrite]:
    """Return the writes about ``subject`` that can count."""
    return [write for write in _writes() if write.subject == subject]


def enter(subject: str, entry: TrustEntry) -> None:
    """Write ``entry`` to the list, over all that is known of ``subject``. Called on a master, within a transaction."""
    if conf.role() != Role.MASTER:
        raise NeedsOperatorError(f"only a master writes the trusted list; {conf.name()} has the role {conf.role()}")
    heads = {bytes.fromhex(write.at.dot) for write in writes_about(subject)}
    draft = Draft()
    draft.ops.append(Op(MODEL, subject, [draft.write(FIELD, None, entry_value(entry), heads)]))
    make(TRUST, draft, incarnation.ensure())


def publish_self() -> bool:
    """Let the list say of this root what its settings say; return whether that was news. Others are entered by their seniors."""
    if root()[0] != conf.name():
        return False
    entry = current().entries.get(conf.name())
    mine = own_entry()
    if entry is not None and entry.open == mine.open and Trusted.objects.filter(name=conf.name()).exists():
        return False
    enter(conf.name(), TrustEntry(entry.closed if entry else {}, mine.open))
    return True


def me() -> Party:
    """Return this replica as the rule sees it."""
    return Party.named(conf.name(), Role(conf.role()), conf.farm())


def party(item: Mapping[str, Any]) -> Party:
    """Return one of ``listing`` as the rule sees it."""
    return Party.named(item["name"], Role(item["role"]), item["farm"])


def listing() -> list[dict[str, Any]]:
    """Return the list for people: name, role, farm, url, key of everyone who is open, by rank."""
    return [
        {"name": name, **msgspec.to_builtins(entry.open)} for name, entry in current().entries.items() if entry.open is not None
    ]

"""Which changesets a master was seen to hold, with all of their values: the proof that they can be fetched again."""

from __future__ import annotations

from dataclasses import dataclass

from sync import conf, exchange, log, trusting
from sync.core.policy import Role
from sync.ends import chains_here
from sync.log import Known
from sync.models import Contact, Entry


@dataclass(frozen=True, slots=True)
class Holding:
    """What one replica holds. ``upto``: by chain here, the last number; ``single``: the changesets of forked chains one by one."""

    upto: dict[int, int]
    single: frozenset[bytes]
    lacking: frozenset[bytes]

    def has(self, entry: Known) -> bool:
        """Say whether the replica holds a changeset that is here too, and all of its values."""
        return entry.dot not in self.lacking and (entry.seq <= self.upto.get(entry.chain, 0) or entry.dot in self.single)


def by_masters() -> dict[str, Holding]:
    """Return what each master was last seen to hold. One that did not say which values it lacks proves nothing."""
    masters = {item["name"] for item in trusting.listing() if item["role"] == Role.MASTER} - {conf.name()}
    contacts = Contact.objects.filter(name__in=masters, lacking__isnull=False)
    return {contact.name: _holding(contact) for contact in contacts}


def _holding(contact: Contact) -> Holding:
    """A tip proves what is below it here, in its own chain. A tip that is not known here proves nothing: it may be of a fork."""
    tips, chains = exchange.tips_from_json(contact.tips), chains_here().chains
    known = log.known(tip.dot for tip in tips)
    upto: dict[int, int] = {}
    single: set[bytes] = set()
    for tip in tips:
        entry = known.get(tip.dot)
        here = chains.get(entry.chain) if entry is not None else None
        if entry is None or here is None or here.name != tip.chain:
            continue
        if len(here.tips) == 1:
            upto[entry.chain] = entry.seq
        else:
            single |= _path(entry)
    return Holding(upto, frozenset(single), frozenset(bytes.fromhex(dot) for dot in contact.lacking or ()))


def _path(end: Known) -> set[bytes]:
    """Return the changeset ``end`` and its ancestors."""
    found, wanted = set[bytes](), end.dot
    rows = Entry.objects.filter(chain=end.chain, seq__lte=end.seq).order_by("-seq").values_list("dot", "prev")
    for dot, prev in rows.iterator(chunk_size=2000):
        if bytes(dot) == wanted:
            found.add(wanted)
            wanted = bytes(prev) if prev else b""
    return found

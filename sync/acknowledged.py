"""Which changesets a master was seen to hold, with all of their values: the proof that they can be fetched again."""

from __future__ import annotations

from dataclasses import dataclass

from sync import conf, exchange, log, trusting
from sync.core.changeset import ChainKey
from sync.core.policy import Role
from sync.log import Known
from sync.models import Chain, Contact, Entry, Tip


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
    tips = exchange.tips_from_json(contact.tips)
    chains = {ChainKey(chain.name, chain.incarnation, chain.scope): chain.pk for chain in Chain.objects.all()}
    known = log.known(tip.dot for tip in tips)
    upto: dict[int, int] = {}
    single: set[bytes] = set()
    for tip in tips:
        entry = known.get(tip.dot)
        if entry is None or entry.chain != chains.get(tip.chain):
            continue
        if Tip.objects.filter(chain=entry.chain).count() == 1:
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

"""The state of replication in figures: peers, lag, what exists only here, what waits where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import conf, conflicts, exchange, keys, local, log, missing, orphans, registers, replay, trusting
from sync.core.changeset import ChainKey
from sync.core.policy import Verb, may
from sync.models import Chain, Contact, Entry, MissingBlob, Register


def status() -> dict[str, Any]:
    """Return what ``sync_status --json`` prints."""
    contacts = {contact.name: contact for contact in Contact.objects.all()}
    others = [item for item in trusting.listing() if item["name"] != conf.name()]
    return {
        "replica": {
            "name": conf.name(),
            "role": conf.role(),
            "farm": conf.farm(),
            "url": conf.url(),
            "key": keys.public_text(),
            "origin": f"{conf.name()}.{local.state().incarnation}",
        },
        "digest": registers.digest(),
        "peers": [_peer(item, contacts.get(item["name"])) for item in others],
        "only_here": only_here(contacts.values()),
        "conflicts": conflicts.count(),
        "deferred": Register.objects.filter(projected=False).count(),
        "held": log.waiting().filter(state=Entry.State.HELD).count(),
        "quarantined": log.waiting().filter(state=Entry.State.QUARANTINED).count(),
        "orphans": orphans.count(),
        "blobs_missing": MissingBlob.objects.count(),
        "values_missing": missing.count(),
        "waiting": replay.waiting(),
    }


def _peer(item: dict[str, Any], contact: Contact | None) -> dict[str, Any]:
    me, peer = trusting.me(), trusting.party(item)
    ours = exchange.tips_between(me, peer)
    # Of a replica that never exchanges with this one there is no lag to speak of.
    is_mine = any(may(me, verb, peer) or may(peer, verb, me) for verb in Verb)
    theirs = exchange.tips_from_json(contact.tips) if contact else []
    return {
        **{key: item[key] for key in ("name", "role", "farm", "url")},
        "last_contact": contact.last_contact.isoformat() if contact and contact.last_contact else None,
        "behind": exchange.count_unknown(theirs, ours) if is_mine else 0,
        "ahead": exchange.count_missing(theirs, ours) if is_mine else 0,
        "error": contact.error if contact else None,
    }


def only_here(contacts: Iterable[Contact]) -> int:
    """Return how many changesets are here that no peer was seen to hold."""
    held = [(exchange.tips_from_json(contact.tips), set(contact.lacking or ())) for contact in contacts]
    beyond = exchange.count_missing([tip for tips, _ in held for tip in tips], [exchange.TipAt(*tip) for tip in log.tips()])
    return beyond + _without_values(held)


def _without_values(held: list[tuple[list[exchange.TipAt], set[str]]]) -> int:
    """Return how many changesets each peer that holds them lacks a value of."""
    dots = {dot for _, lacking in held for dot in lacking}
    places = log.known(bytes.fromhex(dot) for dot in dots)
    chains = Chain.objects.in_bulk({place.chain for place in places.values()})
    count = 0
    for dot, place in places.items():
        chain = chains[place.chain]
        key = ChainKey(chain.name, chain.incarnation, chain.scope)
        holders = [lacking for tips, lacking in held if any(tip.chain == key and tip.seq >= place.seq for tip in tips)]
        count += bool(holders) and all(dot.hex() in lacking for lacking in holders)
    return count

"""The peers on the trusted list, and with whom of them this replica may speak."""

from __future__ import annotations

from dataclasses import dataclass

from sync import conf, trusting
from sync.core.errors import NeedsOperatorError, NotAllowedError, UnknownPeerError
from sync.core.policy import Party, Verb, may
from sync.standing import until_the_list_changes


@dataclass(frozen=True, slots=True)
class Listed:
    """A peer as the trusted list has it."""

    name: str
    url: str
    key: str
    party: Party


def allowed(verb: Verb) -> list[Listed]:
    """Return the peers that this replica may ``verb``, and that have an address."""
    me = trusting.me()
    return [peer for peer in others().values() if peer.url and may(me, verb, peer.party)]


def named(name: str, verb: Verb) -> Listed:
    """Return the peer ``name``. Raises UnknownPeerError, NotAllowedError or NeedsOperatorError, before anything is sent."""
    found, me = others().get(name), trusting.me()
    if name == conf.name():
        raise NotAllowedError(f"{name} is this replica itself")
    if found is None:
        raise UnknownPeerError(f"{name} is not on the trusted list of {conf.name()}; a master enters it with sync_trust")
    if not may(me, verb, found.party):
        preposition = "from" if verb is Verb.PULL else "to"
        raise NotAllowedError(f"{conf.name()} ({me.role}) may not {verb} {preposition} {name} ({found.party.role})")
    if not found.url:
        raise NeedsOperatorError(f"{name} has no address on the trusted list; a master gives it one with sync_trust --url")
    return found


def others() -> dict[str, Listed]:
    """Return all others on the list by name, whether they have an address or not."""
    return dict(_others())


@until_the_list_changes
def _others() -> dict[str, Listed]:
    others = [item for item in trusting.listing() if item["name"] != conf.name()]
    return {item["name"]: Listed(item["name"], item["url"], item["key"], trusting.party(item)) for item in others}

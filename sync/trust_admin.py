"""Changing the trusted list: what the commands and the admin board do."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from sync import admission, closing, conf, keys, local, log, trusting
from sync.core.errors import NeedsOperatorError, NotAllowedError
from sync.core.policy import TRUST, Role
from sync.core.trust import Closed, Open, TrustEntry
from sync.models import Chain, Entry, Local, Trusted


def trust(name: str, role: Role, farm: str, url: str, key: str, is_root: bool = False) -> dict[str, Any]:
    """Enter a replica, on a master; pin the root, elsewhere. Returns ``name``, ``role`` and ``result``: entered, pinned, unchanged.

    A second master pins too: where ``is_root`` says that ``name`` is the root of the site; or where this master has entered
    nobody yet and ``name``, a master, comes before its own name, so that of two new masters that are told to trust each other
    one is the root.
    """
    if name == conf.name():
        raise NotAllowedError(f"{name} is this replica; run the command on the others")
    with transaction.atomic():
        local.take_turn()
        if conf.role() != Role.MASTER or is_root or _is_second(name, role):
            result = _pin(name, role, url, key)
        else:
            result = _enter(name, Open(role, farm, url, key))
    return {"name": name, "role": role.value, "url": url, "result": result, "root": trusting.root()[0]}


def _is_second(name: str, role: Role) -> bool:
    is_new = not local.state().root_name and not Chain.objects.filter(name=conf.name(), scope=TRUST).exists()
    return role == Role.MASTER and is_new and name < conf.name()


def _enter(name: str, wanted: Open) -> str:
    entry = trusting.current().entries.get(name)
    if trusting.root()[0] == name:
        return "unchanged"  # the root speaks for itself
    news = trusting.publish_self()
    if entry is not None and entry.open == wanted and not news:
        return "unchanged"
    _say(name, TrustEntry(_closed_for(name, entry, wanted) if entry else {}, wanted))
    return "entered"


def _closed_for(name: str, entry: TrustEntry, wanted: Open) -> dict[str, Closed]:
    """Return what is closed where ``name`` goes on as ``wanted``: what it wrote so far counts as what it was then.

    Of a key that is replaced, and of a master that is none any more, only what is known here: the reason may be that somebody
    else has it. Else all that is still to come of the incarnation, or whatever it has written unseen would be lost.
    """
    former = entry.open
    if former is None or (former.role, former.farm, former.key) == (wanted.role, wanted.farm, wanted.key):
        return entry.closed
    closed = closing.closed_at(name, entry)
    if former.key != wanted.key or former.role == Role.MASTER:
        return closed
    return {
        incarnation: entry.closed.get(incarnation, Closed(former.role, former.farm, former.key, None)) for incarnation in closed
    }


def _say(name: str, wanted: TrustEntry) -> None:
    """Write ``wanted`` to the list, and let everything follow from it.

    Raises NotAllowedError, which takes everything back, where the list does not say then what this master has written.
    """
    trusting.enter(name, wanted)
    admission.readmit(trusting.refresh())
    entry = trusting.current().entries.get(name)
    if entry == wanted:
        return
    root = trusting.root()[0]
    if not Trusted.objects.filter(name=conf.name()).exists():
        raise NeedsOperatorError(f"{conf.name()} is not on the list of {root} yet: enter it there, then run sync_pull here")
    if entry is not None:
        raise NotAllowedError(f"{name} stands before {conf.name()} on the list; a master that stands before it must do this")


def _pin(name: str, role: Role, url: str, key: str) -> str:
    if role != Role.MASTER and conf.role() == Role.MASTER:
        raise NotAllowedError(f"{name} has the role {role}; the root of a site is a master")
    if role != Role.MASTER:
        raise NotAllowedError(
            f"{conf.name()} has the role {conf.role()}: it pins the first master of the site and learns the others from it; "
            f"enter {name} with sync_trust on a master"
        )
    return pin(name, url, key)


def pin(name: str, url: str, key: str) -> str:
    """Pin the root of the site, from which the trusted list follows; return "pinned" or "unchanged"."""
    with transaction.atomic():
        local.take_turn()
        return _pin_root(name, url, key)


def _pin_root(name: str, url: str, key: str) -> str:
    row = check_root(name)
    if (row.root_key, row.root_url) == (key, url):
        return "unchanged"
    if key == keys.public_text():
        raise NotAllowedError(f"this is the key of {conf.name()} itself; {name} has another, see sync_identity there")
    if row.root_key and row.root_key != key and Chain.objects.filter(name=name, key=row.root_key).exists():
        raise NeedsOperatorError(
            f"{name} is pinned with another key, under which its list has come already; keys of roots stay"
        )
    row.root_name, row.root_key, row.root_url = name, key, url
    row.save()
    admission.readmit(trusting.refresh())
    return "pinned"


def check_root(name: str) -> Local:
    """Raise NeedsOperatorError where another root than ``name`` is pinned; return the row that keeps the pin."""
    row = local.state()
    if row.root_name and row.root_name != name:
        raise NeedsOperatorError(f"{row.root_name} is pinned as the root of the site; a replica has one root for life")
    return row


def revoke(name: str, start: int | None = None) -> dict[str, Any]:
    """Take ``name`` off the list; what it made from sequence ``start`` on no longer counts.

    Of one that is off the list already ``start`` moves the cut, either way.
    """
    with transaction.atomic():
        local.take_turn()
        entry = trusting.current().entries.get(name)
        if conf.role() != Role.MASTER:
            raise NotAllowedError(f"{conf.name()} has the role {conf.role()}; only a master writes the trusted list")
        if name == conf.name() or entry is None:
            raise NeedsOperatorError(f"{name} is not on the trusted list, or is this replica itself")
        _say(name, TrustEntry(closing.closed_at(name, entry, None if start is None else start - 1), None))
    chains = Chain.objects.filter(name=name)
    return {"name": name, "quarantined": log.waiting().filter(chain__in=chains, state=Entry.State.QUARANTINED).count()}

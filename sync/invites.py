"""Invitations: a one-time code that says to a new replica whom to trust, and to the master that it may come in.

The code carries the site's root with its key, so that the new replica cannot be led elsewhere, and a secret that the master takes
once, before it expires.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

import orjson
from django.db import transaction
from django.utils import timezone

from sync import conf, local, trust_admin, trusting
from sync.client import Peer
from sync.core import address
from sync.core.errors import InviteError, NameTakenError, NeedsOperatorError, NotAllowedError
from sync.core.policy import Role
from sync.core.trust import Open
from sync.models import Invite


@dataclass(frozen=True, slots=True)
class Code:
    """What an invitation says: where the master is, who the root of the site is, as what to join, and the secret."""

    name: str
    url: str
    root_name: str
    root_key: str
    root_url: str
    role: str
    farm: str
    secret: str

    def encode(self) -> str:
        """Return the code as one word."""
        return base64.urlsafe_b64encode(orjson.dumps(list(asdict(self).values()))).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Code:
        """Return what a code says. Raises InviteError."""
        try:
            found = orjson.loads(base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4)))
            code = cls(*(str(item) for item in found))
            address.origin(code.url), address.origin(code.root_url), address.farm(code.farm)
        except (binascii.Error, ValueError, TypeError):
            raise InviteError("this is no invitation; copy the whole code that sync_invite has printed") from None
        return code


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def invite(role: Role, farm: str, lifetime: timedelta) -> Code:
    """Return a new one-time code. Raises NotAllowedError where this replica is no master."""
    if conf.role() != Role.MASTER:
        raise NotAllowedError(f"{conf.name()} has the role {conf.role()}; only a master lets replicas in")
    secret = secrets.token_urlsafe(18)
    root_name, root = trusting.root()
    assert root.open is not None
    Invite.objects.filter(expires__lt=timezone.now()).delete()
    Invite.objects.create(secret_hash=_hash(secret), role=role, farm=farm, expires=timezone.now() + lifetime)
    return Code(conf.name(), conf.url(), root_name, root.open.key, root.open.url or conf.url(), role, farm, secret)


def accept(secret: str, name: str, wanted: Open) -> None:
    """Let ``name`` in, whose key has signed the request; the code is used up. Raises InviteError or NameTakenError."""
    with transaction.atomic():
        local.take_turn()
        found = Invite.objects.select_for_update().filter(secret_hash=_hash(secret)).first()
        if found is None or found.expires < timezone.now():
            raise InviteError("the invitation has expired or was never given out; ask for a new one with sync_invite")
        if found.used_by and found.used_by != name:
            raise InviteError(f"the invitation was used by {found.used_by}; ask for a new one with sync_invite")
        if (found.role, found.farm) != (wanted.role, wanted.farm):
            raise InviteError(
                f"the invitation is for the role {found.role} of farm {found.farm!r}, not for {wanted.role} of farm {wanted.farm!r}"
            )
        entry = trusting.current().entries.get(name)
        if name == conf.name() or (entry is not None and (entry.open is None or entry.open.key != wanted.key)):
            raise NameTakenError(f"{name} is on the trusted list already, with another key or revoked; choose another name")
        trust_admin.trust(name, wanted.role, wanted.farm, wanted.url, wanted.key)
        found.used_by = name
        found.save()


def join(text: str) -> Code:
    """Come in by the code ``text``: pin the root that it names, and present this replica to the master that gave it out."""
    code = Code.decode(text)
    if (conf.role(), conf.farm()) != (code.role, code.farm):
        raise NeedsOperatorError(
            f"the invitation is for the role {code.role} of farm {code.farm!r}; this replica has the role {conf.role()} of farm "
            f"{conf.farm()!r}: set EDGECMS_ROLE and EDGECMS_FARM, or ask for another invitation"
        )
    trust_admin.check_root(code.root_name)
    me = {"secret": code.secret, "name": conf.name(), "role": conf.role(), "farm": conf.farm(), "url": conf.url()}
    Peer(code.name, code.url).json("POST", "join", orjson.dumps(me))
    trust_admin.pin(code.root_name, code.root_url, code.root_key)
    return code

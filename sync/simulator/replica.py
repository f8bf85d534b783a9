"""One simulated replica: a name, a role, a database, a key, a clock that may be wrong, and the release that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sync.core import signing
from sync.core.policy import Party, Role
from sync.simulator import schema
from sync.simulator.chance import Chance


@dataclass(frozen=True)
class Place:
    """What a replica is: ``node`` and ``loc`` of its name, role, farm."""

    node: str
    role: Role
    farm: str = ""
    loc: str = "SIM"

    @property
    def name(self) -> str:
        """The name of the replica."""
        return f"{self.node}-{self.loc}"

    @property
    def party(self) -> Party:
        """The replica as the rule sees it."""
        return Party.named(self.name, self.role, self.farm)


@dataclass(eq=False)
class Replica:
    """``offset_ms`` is by how much its wall clock is ahead; ``key_number`` counts the keys that it has had;
    ``disk`` names what its database stands on."""

    place: Place
    folder: Path
    database: BaseDatabaseWrapper
    chance: Chance
    label: str = ""
    disk: str = ""
    offset_ms: int = 0
    key_number: int = 0
    release: schema.Release = field(default_factory=schema.Release)
    is_revoked: bool = False

    def __post_init__(self) -> None:
        self.label = self.label or self.place.name
        self.install_key(self.key_number)

    @property
    def name(self) -> str:
        """The name that it writes under; a clone has the same."""
        return self.place.name

    @property
    def url(self) -> str:
        """Its address."""
        return f"sim://{self.name}"

    def install_key(self, number: int) -> None:
        """Put the key pair ``number`` of this name in place, as an operator does."""
        self.key_number = number
        path = self.data / "keys" / "ed25519.key"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(private_key(self.name, number).private_bytes_raw().hex())

    @property
    def data(self) -> Path:
        """Its folder; another one for each key, since a running program keeps the key that it has read."""
        return self.folder / f"{self.label}-{self.key_number}"

    @property
    def mark(self) -> bytes | None:
        """The mark beside its database, if any."""
        path = self.data / "mark.json"
        return path.read_bytes() if path.exists() else None

    def put_mark(self, mark: bytes | None) -> None:
        """Put another mark beside its database."""
        path = self.data / "mark.json"
        if mark is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(mark)

    @property
    def public_text(self) -> str:
        """Its public key."""
        return public_text(self.name, self.key_number)

    @property
    def settings(self) -> dict[str, Any]:
        """Its ``settings.SYNC``."""
        place = self.place
        return {
            "NODE": place.node,
            "LOC": place.loc,
            "ROLE": place.role.value,
            "FARM": place.farm,
            "URL": self.url,
            "DATA": self.data,
            "INTERVAL": 1800,
            "MAX_CLOCK_DRIFT": 300,
            "REDIS_URL": "",
        }

    @contextmanager
    def here(self) -> Iterator[Replica]:
        """Run what stands within as this replica."""
        before = settings.SYNC, connections["default"], self.chance.offset_ms
        settings.SYNC, connections["default"], self.chance.offset_ms = self.settings, self.database, self.offset_ms
        try:
            with schema.running(self.release):
                yield self
        finally:
            settings.SYNC, connections["default"], self.chance.offset_ms = before


def private_key(name: str, number: int) -> Ed25519PrivateKey:
    """Return the key pair ``number`` of ``name``, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(Random(f"key {name} {number}").randbytes(32))  # noqa: S311


def public_text(name: str, number: int) -> str:
    """Return the public key ``number`` of ``name``."""
    return signing.key_text(private_key(name, number).public_key())

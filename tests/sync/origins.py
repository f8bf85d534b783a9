"""Other replicas as the tests need them: they make signed changesets, without a database of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.apps import apps
from django.db import connection, transaction

from sync import local, log, rebuild, registers, trust_admin
from sync.core import signing, wire
from sync.core.changeset import Changeset, Head, Op, Write, decode, detach, encode
from sync.core.policy import Role
from sync.core.wire import Frame
from sync.models import Register
from sync.receive import Receipt, receive
from sync.registers import RowKey
from sync.registry import all_specs

OVER = tuple[bytes, ...]


@dataclass
class Origin:
    """A replica that writes. ``made`` are its changesets, in order."""

    name: str
    role: Role = Role.EDGE
    farm: str = "thames"
    incarnation: str = "00000000000000aa"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    made: list[Changeset] = field(default_factory=list)

    @property
    def public(self) -> str:
        """The public key, as the trusted list has it."""
        return signing.key_text(self.key.public_key())

    def trust_here(self, url: str | None = None) -> Origin:
        """Put this origin on the trusted list of the replica under test, a master."""
        trust_admin.trust(self.name, self.role, self.farm, f"http://{self.name.lower()}" if url is None else url, self.public)
        return self

    def make(
        self, *ops: Op, refs: Iterable[bytes] = (), ms: int | None = None, scope: str = "all", **changes: Any
    ) -> Changeset:
        """Return the next changeset of the chain of ``scope``; values that are long are detached."""
        texts: list[bytes] = []
        chain = [made for made in self.made if made.head.scope == scope]
        stamp = (ms if ms is not None else local.wall_ms(), len(self.made))
        value = Head(
            name=self.name,
            incarnation=self.incarnation,
            scope=scope,
            seq=len(chain) + 1,
            clock=max(stamp, (chain[-1].head.clock[0], chain[-1].head.clock[1] + 1)) if chain else stamp,
            author="ada",
            schema="1",
            prev=chain[-1].dot.hex() if chain else None,
            refs=[dot.hex() for dot in refs],
            ops=[_detached(op, texts) for op in ops],
        )
        changeset = sealed(value, self.key, texts, **changes)
        self.made.append(changeset)
        return changeset


def _detached(op: Op, texts: list[bytes]) -> Op:
    writes = []
    for write in op.writes:
        inline, text = detach(write.value)
        if text is not None:
            texts.append(text)
        writes.append(Write(write.field, write.element, inline, write.over, write.latest))
    return Op(op.model, op.token, writes, op.seen)


def sealed(value: Head, key: Ed25519PrivateKey, texts: Iterable[bytes] = ()) -> Changeset:
    """Return ``value`` signed by ``key``."""
    raw = encode(value)
    return decode(raw, signing.sign_changeset(key, hashlib.sha256(raw).digest()), texts)


def framed(*changesets: Changeset) -> Frame:
    """Return ``changesets`` as one frame, as it would come over the wire."""
    raw = log.pack(changesets)
    return wire.parse(raw, wire.unpack(raw))


def arrive(*changesets: Changeset) -> Receipt:
    """Receive ``changesets`` in one frame."""
    return receive([framed(*changesets)])


def title(token: str, value: str, over: tuple[int, ...] = (), model: str = "content.section") -> Op:
    """Return the op that sets a title. ``over`` are indexes into the refs."""
    return Op(model, token, [Write("title", None, value, list(over))])


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every replicated table, sorted."""
    return {
        spec.label: sorted(
            (tuple(repr(v) for v in row) for row in spec.model._base_manager.values_list("token", *spec.names)), key=str
        )
        for spec in all_specs()
    }


def state() -> tuple[str, dict[str, list[tuple[Any, ...]]]]:
    """Return what is to be equal on two replicas that hold the same changesets: digest and rows."""
    return registers.digest(), rows()


def assert_rows_follow_from_log() -> None:
    """Derive every register and row from the log anew, and find them unchanged."""
    before = state()
    keys = {RowKey(model, token) for model, token in Register.objects.values_list("model", "token")}
    with transaction.atomic():
        rebuild.rebuild(keys)
    assert state() == before


def _tables() -> list[str]:
    models = [*apps.get_app_config("content").get_models(), *apps.get_app_config("sync").get_models()]
    return [connection.ops.quote_name(model._meta.db_table) for model in models if not model._meta.proxy]


def forget_everything() -> None:
    """Empty all tables of content and sync, as a new replica has them. Its key stays."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"DELETE FROM {table}")


Backup = dict[str, list[tuple[Any, ...]]]


def backup() -> Backup:
    """Return every row of every table of content and sync: a copy of the database as it is now."""
    with connection.cursor() as cursor:
        found: Backup = {}
        for table in _tables():
            cursor.execute(f"SELECT * FROM {table}")
            found[table] = [tuple(row) for row in cursor.fetchall()]
        return found


def take_back(copy: Backup) -> None:
    """Put the database back to what it was, without telling anybody: the same file or server, older content."""
    forget_everything()
    with transaction.atomic(), connection.cursor() as cursor:
        for table, content in copy.items():
            for row in content:
                cursor.execute(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", [_plain(v) for v in row])


def _plain(value: Any) -> Any:
    """A value as the database takes it back: JSON goes in as text."""
    return json.dumps(value) if isinstance(value, dict | list) else value

"""The versions that somebody was shown: a form or a client carries them, and gives them back with what it writes.

A form is a replica: what it writes overwrites what it was loaded with, and nothing that came later and was not shown. So it
carries the heads of the registers of its rows, and the clock, as they were when it was opened. One form is one session: what
it has written before counts as seen by it, whether or not it was ever shown the answer.

The text is signed with the site's secret key. What is altered, cut or made up is no versions at all, and then a writer is
taken to have seen what its values say.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec
from django.core import signing
from django.db import models, router

from sync import conf, local, merging, pending
from sync.core.clock import ZERO, Timestamp
from sync.core.token import derived_token
from sync.models import Register, Written
from sync.pending import Heads
from sync.registers import Batch, RowKey
from sync.registry import spec_of
from sync.values import Values

SALT = "sync.versions"
MAX_TEXT = 1 << 20  # characters that are looked at

_Groups = list[tuple[list[int], list[str]]]  # indexes of dots, and the keys whose heads they are
_Packed = tuple[str, int, tuple[int, int], list[bytes], list[tuple[str, str, _Groups]]]


class _MessagePack:
    """The serializer that Django's signing asks for."""

    def dumps(self, value: Any) -> bytes:
        return msgspec.msgpack.encode(value)

    def loads(self, content: bytes) -> Any:
        return msgspec.msgpack.decode(content, type=_Packed)


def row_key(model: type[models.Model], token: str) -> RowKey:
    """Return the name of a row in registers; a proxy's is that of the model itself."""
    return RowKey((model._meta.concrete_model or model)._meta.label_lower, token)


def is_known(key: RowKey) -> bool:
    """Whether anybody ever wrote the row, be it alive or not."""
    return Register.objects.filter(key=key.stored).exists()


@dataclass
class Versions:
    """What a form was loaded with: the heads of its rows, the clock, and the name of its session.

    ``made``: milliseconds since 1970; ``counter``: how many times the form was sent, later ones win; ``fingerprint``: equal
    for equal registers, of what was read here only.
    """

    session: str = field(default_factory=lambda: secrets.token_hex(16))
    made: int = field(default_factory=local.wall_ms)
    clock: Timestamp = ZERO
    rows: Mapping[RowKey, Heads] = field(default_factory=dict)
    counter: int = 0
    fingerprint: str = ""
    _made: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, keys: Iterable[RowKey], all_shown: bool = False) -> Versions:
        """Return the present versions of ``keys``, in two queries, or a few more where writes stand beside each other.

        Read them before the rows themselves: a form that then shows more than it says loses nothing. ``all_shown``: the form
        shows every sibling; otherwise only the one in the row counts as shown.
        """
        clock = local.clock_of(local.state())
        batch, values = Batch(), Values()
        batch.load(keys)
        rows: dict[RowKey, dict[str, tuple[bytes, ...]]] = {key: dict(slot.row.heads) for key, slot in batch.slots.items()}
        states = sorted((*key, slot.row.encode()) for key, slot in batch.slots.items())
        fingerprint = hashlib.sha256(msgspec.msgpack.encode(states)).hexdigest()[:32]
        if not all_shown:
            for key, slot in batch.slots.items():
                rows[key].update((name, _shown(values, key, name, slot.row.heads[name])) for name in slot.row.siblings())
        return cls(clock=clock, rows=rows, fingerprint=fingerprint)

    def pack(self) -> str:
        """Return the signed text that a form carries."""
        refs: dict[bytes, int] = {}
        rows = []
        for key, heads in self.rows.items():
            groups: dict[tuple[bytes, ...], list[str]] = {}
            for name, dots in heads.items():
                groups.setdefault(dots, []).append(name)
            rows.append((*key, [([refs.setdefault(d, len(refs)) for d in dots], names) for dots, names in groups.items()]))
        packed: _Packed = (self.session, self.made, (self.clock.ms, self.clock.counter), list(refs), rows)
        return signing.dumps(packed, salt=SALT, serializer=_MessagePack, compress=True)

    @classmethod
    def unpack(cls, text: Any, counter: Any = 0) -> Versions | None:
        """Return the versions of ``pack``'s text; None for what this site did not sign. ``counter`` may be anything."""
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            return None
        try:
            session, made, clock, refs, rows = signing.loads(text, salt=SALT, serializer=_MessagePack)
            found = {
                RowKey(model, token): {name: tuple(refs[i] for i in dots) for dots, names in groups for name in names}
                for model, token, groups in rows
            }
        except (signing.BadSignature, msgspec.MsgspecError, ValueError, IndexError):
            return None
        return cls(session, made, Timestamp(*clock), found, _count(counter))

    def see(self, instance: models.Model, fields: Iterable[str]) -> None:
        """Say that the next write to the row of ``instance`` in this transaction is by whom was shown these versions of it.

        ``fields``: attribute names of the fields that were shown; others are written as the instance knows them. A row
        that is not among these versions is written as the instance knows it too, unless this form has made it.
        """
        held = pending.of(router.db_for_write(type(instance), instance=instance))
        held.session = pending.Session(self.session, self.counter, self.clock)
        heads = self.rows.get(row_key(type(instance), instance.pk), {} if instance.pk in self._made else None)
        if heads is not None:
            place = (type(instance)._meta.concrete_model or type(instance), str(instance.pk))
            held.shown[place] = pending.Shown(heads, frozenset(fields))

    def is_overtaken_by(self, present: Versions) -> bool:
        """Whether the rows of ``present`` hold writes that were not shown here. Read ``present`` with ``all_shown``."""
        return any(
            not set(dots) <= set(self.rows.get(key, {}).get(name, ()))
            for key, heads in present.rows.items()
            for name, dots in heads.items()
        )

    @cached_property
    def is_resent(self) -> bool:
        """Whether this session has written before: a double click, a form sent again, a way back and another save."""
        return Written.objects.filter(session=self.session).exists()

    def token_for(self, name: str) -> str:
        """Return the key for the new row that this form calls ``name``: the same whenever the form is sent."""
        token = derived_token(conf.name(), f"{self.session} {name}", datetime.fromtimestamp(self.made / 1000, UTC))
        self._made.add(token)
        return token


def _shown(values: Values, row: RowKey, name: str, heads: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the heads of a register that the row shows, alone or merged."""
    model = spec_of(row.model)
    field_name, _, element = name.partition("/")
    column = model.fields.get(field_name) if model else None
    if column is None:
        return (values.shown(heads),)
    return tuple(merging.heads_shown(values, row, column, element or None, heads))


def _count(value: Any) -> int:
    try:
        return min(max(int(value), 0), 1 << 30)
    except (TypeError, ValueError):
        return 0

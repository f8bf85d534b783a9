"""What people do, as the witness is told: what they had before their eyes, what they wanted, what they have open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sync.core.register import Row
from sync.models import Register
from sync.registers import RowKey

Heads = dict[str, frozenset[bytes]]
NONE: frozenset[Any] = frozenset()


@dataclass
class Intent:
    """One field of one row that somebody wants to have a value.

    ``saw``: the value before his eyes; ``heads``: the writes that were there when he looked, by key of the row; ``is_statement``:
    he meant the row as it is, not as he saw it. ``was`` is what stood in the row when he saved. ``tab``: the form that carried
    versions and was sent, if any; ``standing``: the heads when it was.
    """

    row: RowKey
    name: str
    saw: Any
    was: Any
    wants: Any
    heads: Heads
    is_statement: bool = False
    tab: Tab | None = None
    standing: Heads = field(default_factory=dict)


@dataclass
class Tab:
    """A row that somebody has open: its instance as loaded, or a form with the values that it showed.

    ``loaded``: these values, by attribute. ``carried``: the versions in a form that bears them, else empty; such a form may be
    sent again and again. ``count``: how many times it was; ``sending``: the count that goes with it now, which is an older one
    where a save comes late. ``own``: what it has written, ``own_keys``: with which count, by key; ``remembers``: whether the
    replica knows that for sure.
    """

    number: int
    instance: Any
    heads: Heads
    is_form: bool
    loaded: dict[str, Any]
    carried: str = ""
    count: int = 0
    sending: int = 0
    own: set[bytes] = field(default_factory=set)
    own_keys: dict[str, int] = field(default_factory=dict)
    remembers: bool = True

    def overtaken(self, key: str) -> bool:
        """Whether a later save of this form, which came first, has written ``key``."""
        return self.own_keys.get(key, -1) > self.sending


@dataclass
class Deed:
    """What somebody did in one transaction. ``made`` and ``deleted`` are rows; ``what`` says it in words.

    ``dropped``: rows that a form deleted, each with that form, and the writes that stood in the row then.
    """

    what: list[str] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    made: list[RowKey] = field(default_factory=list)
    deleted: list[RowKey] = field(default_factory=list)
    dropped: dict[RowKey, tuple[Tab, frozenset[bytes]]] = field(default_factory=dict)


def heads_of(row: RowKey) -> Heads:
    """Return the heads of a row here, by key."""
    state = Register.objects.filter(key=row.stored).values_list("state", flat=True).first()
    return {key: frozenset(dots) for key, dots in Row.decode(bytes(state)).heads.items()} if state is not None else {}

"""The registers of one row: for each field the writes that nobody has overwritten.

W(k) are the writes to key k that are applied here; heads(k) are those of W(k) that no other of W(k) names in ``over``.
The state is the same for any order of arrival: ``gone`` remembers what was overwritten before it came. Multi-value
registers after Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types", 2011.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

Dot = bytes


@dataclass(slots=True)
class Row:
    """Heads by key (``field`` or ``field/element``), each a sorted tuple of dots; deletions by their dot.

    ``gone``: by key, dots named in an ``over`` whose write is not here yet. ``latest``: keys that keep no row alive.
    """

    heads: dict[str, tuple[Dot, ...]] = field(default_factory=dict)
    gone: dict[str, set[Dot]] = field(default_factory=dict)
    latest: set[str] = field(default_factory=set)
    deletes: dict[Dot, frozenset[Dot]] = field(default_factory=dict)

    def write(self, key: str, dot: Dot, over: Collection[Dot], latest: bool = False) -> None:
        """Apply one write. ``gone`` may then hold dots that are here and overwritten already: see ``forget``."""
        if latest:
            self.latest.add(key)
        if not over and key not in self.gone:  # the quick way, also where a register has very many heads
            self.heads[key] = _with(self.heads.get(key, ()), dot)
            return
        heads = set(self.heads.get(key, ()))
        gone = self.gone.get(key, set())
        for seen in over:
            if seen in heads:
                heads.remove(seen)
            elif seen != dot:
                gone.add(seen)
        if dot in gone:
            gone.remove(dot)
        else:
            heads.add(dot)
        self._keep(key, heads, gone)

    def _keep(self, key: str, heads: set[Dot], gone: set[Dot]) -> None:
        self.heads[key] = tuple(sorted(heads))
        if gone:
            self.gone[key] = gone
        else:
            self.gone.pop(key, None)

    def delete(self, dot: Dot, seen: Iterable[Dot]) -> None:
        """Apply a deletion that had seen the writes ``seen``."""
        self.deletes[dot] = frozenset(seen)

    def forget(self, is_applied: Callable[[str, Dot], bool]) -> None:
        """Take out of ``gone`` the writes that are applied here already: they will not come again.

        ``is_applied(key, dot)`` says whether the changeset ``dot`` is applied and did write ``key`` of this row. What names a
        changeset that wrote something else stays, or the state would hang on which of the two came first.
        """
        for key in list(self.gone):
            self._keep(key, set(self.heads[key]), {dot for dot in self.gone[key] if not is_applied(key, dot)})

    def waiting(self) -> set[Dot]:
        """All dots in ``gone``."""
        return set().union(*self.gone.values()) if self.gone else set()

    @property
    def own(self) -> bool:
        """Whether some head that counts was not seen by any deletion."""
        if not self.deletes:
            return any(heads for key, heads in self.heads.items() if key not in self.latest)
        seen = frozenset().union(*self.deletes.values())
        return any(dot not in seen for key, heads in self.heads.items() if key not in self.latest for dot in heads)

    def unanswered(self) -> list[Dot]:
        """The deletions that no write has named, sorted. Where the row lives, somebody has to choose: keep it, or delete it.

        A deletion is no write, so what names one stays in ``gone``.
        """
        return sorted(self.deletes.keys() - self.waiting()) if self.deletes else []

    def unseen(self) -> dict[str, tuple[Dot, ...]]:
        """By key, the heads that keep the row alive: those that no deletion had seen. Empty where only its parts do."""
        seen = frozenset().union(*self.deletes.values())
        left = {key: tuple(d for d in heads if d not in seen) for key, heads in self.heads.items() if key not in self.latest}
        return {key: dots for key, dots in left.items() if dots}

    def dots(self) -> list[Dot]:
        """The heads of all keys, sorted, each once."""
        return sorted({dot for heads in self.heads.values() for dot in heads})

    def siblings(self) -> Iterator[str]:
        """The keys with more than one head, but for those of policy ``latest``."""
        return (key for key, heads in self.heads.items() if len(heads) > 1 and key not in self.latest)

    def encode(self) -> bytes:
        """Return the canonical bytes of this state (MessagePack): equal states give equal bytes."""
        groups: dict[tuple[Dot, ...], list[str]] = {}
        for key in sorted(self.heads):
            groups.setdefault(self.heads[key], []).append(key)
        return _encoder.encode(
            (
                list(groups.items()),
                sorted(self.latest),
                sorted((key, sorted(dots)) for key, dots in self.gone.items()),
                sorted((dot, sorted(seen)) for dot, seen in self.deletes.items()),
            )
        )

    @classmethod
    def decode(cls, state: bytes) -> Row:
        """Return the row of ``encode``'s bytes."""
        groups, latest, gone, deletes = _decoder.decode(state)
        return cls(
            heads={key: dots for dots, keys in groups for key in keys},
            latest=set(latest),
            gone={key: set(dots) for key, dots in gone},
            deletes={dot: frozenset(seen) for dot, seen in deletes},
        )


def encode_around(keys: Iterable[str], latest: Iterable[str]) -> tuple[bytes, bytes]:
    """Return what stands before and after the dot where nobody but one changeset wrote to a row, over nothing: ``keys``, each once.

    With the dot between, that is what ``Row.encode`` gives.
    """
    state = _encoder.encode(([((_NO_DOT,), sorted(keys))], sorted(latest), (), ()))
    before, _, after = state.partition(_NO_DOT)
    return before, after


def _with(heads: tuple[Dot, ...], dot: Dot) -> tuple[Dot, ...]:
    place = bisect_left(heads, dot)
    return heads if heads[place : place + 1] == (dot,) else heads[:place] + (dot,) + heads[place:]  # noqa: RUF005, twice as fast


_NO_DOT = bytes(16)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    tuple[
        list[tuple[tuple[bytes, ...], list[str]]],
        list[str],
        list[tuple[str, list[bytes]]],
        list[tuple[bytes, list[bytes]]],
    ]
)

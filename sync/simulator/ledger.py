"""The witness outside: what was acknowledged, by whom, over what; and whether each write said what its author had seen.

It reads changesets and nothing else of the program's state, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from sync.core.changeset import Changeset
from sync.registers import RowKey
from sync.registry import FieldSpec, spec_of
from sync.simulator.deeds import NONE, Deed, Intent, Tab


class Said(NamedTuple):
    """One write: its value, the dots that it overwrote."""

    value: Any
    over: frozenset[bytes]
    latest: bool


Place = tuple[RowKey, str]  # a row, a key of it


class WrongError(AssertionError):
    """A promise was broken."""


@dataclass
class Ledger:
    """``acknowledged``: dot -> number of the step; ``forged``: made by somebody who stole a key; ``lost``: gone with a disk;
    ``judged``: names whose changesets a change of the trusted list may have taken out of the count."""

    acknowledged: dict[bytes, int] = field(default_factory=dict)
    forged: set[bytes] = field(default_factory=set)
    lost: set[bytes] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    genuine: set[bytes] = field(default_factory=set)
    changesets: dict[bytes, Changeset] = field(default_factory=dict)
    writes: dict[bytes, dict[Place, Said]] = field(default_factory=dict)

    def learn(self, changesets: Iterable[Changeset]) -> None:
        """Read what changesets say, once each."""
        for changeset in changesets:
            if changeset.dot not in self.changesets:
                self.changesets[changeset.dot] = changeset
                self.writes[changeset.dot] = dict(_writes(changeset))

    def acknowledge(self, step: int, changesets: Iterable[Changeset]) -> None:
        """Note that the program has taken ``changesets`` of somebody and said so."""
        for changeset in changesets:
            self.learn([changeset])
            self.acknowledged[changeset.dot] = step

    def ancestors(self, place: Place, dots: Iterable[bytes]) -> set[bytes]:
        """Return ``dots`` and what they overwrote, and so on."""
        found: set[bytes] = set()
        level = set(dots)
        while level:
            found |= level
            said = [self.writes.get(dot, {}).get(place) for dot in level]
            level = {dot for item in said if item is not None for dot in item.over} - found
        return found

    def check(self, deed: Deed, made: Iterable[Changeset]) -> None:
        """Raise WrongError unless ``made`` says all that was done, over just what its author had seen."""
        new: dict[Place, Said] = {}
        made = list(made)
        for changeset in made:
            new.update(self.writes[changeset.dot])
            self._check_clock(changeset)
        self._check_news(deed, new)
        for row, (tab, standing) in deed.dropped.items():
            self._check_dropped(row, tab, standing, made)
        for intents in _by_field(deed.intents):
            spec = spec_of(intents[0].row.model)
            if spec is None or intents[0].name not in spec.fields:
                continue
            for key, wants, saw in _expected(spec.fields[intents[0].name], intents[0], intents[-1]):
                place = (intents[0].row, key)
                if intents[0].tab and intents[0].tab.overtaken(key):
                    if place in new:
                        raise WrongError(
                            f"{place[0].token} {key}: a save that came late was written over a later one of the same form"
                        )
                    continue
                if place not in new:
                    raise WrongError(f"{place[0].token} {key}: {wants!r} was acknowledged and not written")
                if new[place].value != wants:
                    raise WrongError(f"{place[0].token} {key}: {new[place].value!r} was written, not {wants!r}")
                if len(intents) == 1 and place[0] not in deed.made:
                    self._check_over(place, new[place], intents[0], saw, spec.fields[intents[0].name])

    def _check_clock(self, changeset: Changeset) -> None:
        """Who writes over something wins over it."""
        for dot in changeset.refs():
            if dot in self.changesets and self.changesets[dot].head.stamp >= changeset.head.stamp:
                raise WrongError(f"{changeset.dot.hex()[:8]} is stamped earlier than {dot.hex()[:8]}, which it had seen")

    def _check_news(self, deed: Deed, new: Mapping[Place, Said]) -> None:
        """Only what changed is written."""
        meant = {(intent.row, intent.name) for intent in deed.intents}
        for (row, key), said in new.items():
            if row in deed.made or (row, key.partition("/")[0]) in meant or said.latest:
                continue
            before = [self.writes[dot].get((row, key)) for dot in said.over if dot in self.writes]
            if before and all(item is not None and item.value == said.value for item in before):
                raise WrongError(f"{row.token} {key}: {said.value!r} was written, and stood there already")

    def _check_over(self, place: Place, said: Said, intent: Intent, saw: Any, field: FieldSpec) -> None:
        heads = intent.heads.get(place[1], frozenset())
        if intent.is_statement:
            if not heads <= said.over:
                raise WrongError(f"{place[0].token} {place[1]}: a statement left a head that it had before it")
            return
        if field.policy == "latest" or (field.policy == "set" and said.value):
            return  # who comes last says how it is; an addition overwrites whatever is known
        if intent.tab is not None:
            self._check_carried(place, said, intent, intent.tab, saw, field)
        for dot in said.over - self.ancestors(place, heads | (intent.tab.own if intent.tab else NONE)):
            if intent.tab or self._shown(dot, place, field) != saw:
                raise WrongError(f"{place[0].token} {place[1]}: {dot.hex()[:8]} was overwritten and never seen by the author")
        values = {repr(self._shown(dot, place, field)) for dot in heads}
        for dot in said.over & heads:
            is_text = field.is_text(place[1].partition("/")[2] or None)  # what is merged shows all
            if len(values) > 1 and not is_text and self._shown(dot, place, field) != saw:
                raise WrongError(f"{place[0].token} {place[1]}: a sibling was overwritten that was not shown")

    def _check_carried(self, place: Place, said: Said, intent: Intent, tab: Tab, saw: Any, field: FieldSpec) -> None:
        """What a form had shown and what it wrote before is overwritten by it, where that stands still: no conflict with oneself."""
        standing = intent.standing.get(place[1], NONE)
        known = {dot for dot in intent.heads.get(place[1], NONE) if self._shown(dot, place, field) == saw}
        left = standing & (known | (tab.own if tab.remembers else NONE)) - said.over
        if left:
            raise WrongError(
                f"{place[0].token} {place[1]}: {min(left).hex()[:8]} was shown to this form, or made by it, and was not overwritten"
            )

    def _check_dropped(self, row: RowKey, tab: Tab, standing: frozenset[bytes], made: Iterable[Changeset]) -> None:
        """A form deletes what it has shown or made, and nothing else."""
        seen: set[bytes] = set()
        for changeset in made:
            refs = changeset.refs()
            for op in changeset.head.ops:
                if op.seen is not None and RowKey(op.model, op.token) == row:
                    seen.update(refs[index] for index in op.seen)
        shown = {dot for heads in tab.heads.values() for dot in heads}
        sure = {dot for heads in tab.heads.values() if len(heads) == 1 for dot in heads}
        if seen - shown - tab.own:
            raise WrongError(f"{row.token}: a form deleted {min(seen - shown - tab.own).hex()[:8]}, which it had not shown")
        if standing & sure - seen:
            raise WrongError(f"{row.token}: a form had shown {min(standing & sure - seen).hex()[:8]}, and did not delete it")

    def _shown(self, dot: bytes, place: Place, field: FieldSpec) -> Any:
        """Return what a row shows of a write: a thief may have written the number 1 where the text 1 is shown."""
        said = self.writes.get(dot, {}).get(place)
        if said is None or "/" in place[1]:
            return said.value if said is not None else None
        try:
            return field.to_json(field.from_json(field.clean(said.value)))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, ValidationError):
            return said.value


def _writes(changeset: Changeset) -> Iterator[tuple[Place, Said]]:
    refs = changeset.refs()
    for op in changeset.head.ops:
        for write in op.writes:
            try:
                value = changeset.value(write)
            except KeyError:
                value = None
            over = frozenset(refs[index] for index in write.over)
            yield (RowKey(op.model, op.token), write.key), Said(value, over, write.latest)


def _by_field(intents: Iterable[Intent]) -> list[list[Intent]]:
    found: dict[tuple[RowKey, str], list[Intent]] = {}
    for intent in intents:
        found.setdefault((intent.row, intent.name), []).append(intent)
    return list(found.values())


def _expected(field: FieldSpec, first: Intent, last: Intent) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, value, and what the author saw, of every write that must have been made."""
    saw, was, wants = first.saw, first.was, last.wants
    if field.policy == "set":
        base, old, new = (set(item or ()) for item in (saw, was, wants))
        for element in sorted((new ^ base) & (new ^ old)):
            yield f"{field.name}/{element}", element in new, element in base
    elif field.policy == "map":
        shown, stored, given = (dict(item or {}) for item in (saw, was, wants))
        for key in sorted(shown.keys() | given.keys()):
            if given.get(key) not in (shown.get(key), stored.get(key)):
                yield f"{field.name}/{key}", given.get(key), shown.get(key)
    elif wants not in (saw, was):
        yield field.name, wants, saw

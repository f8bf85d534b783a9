"""Promises about what people wrote at once: nothing that was typed is out of sight, and all replicas ask the same questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sync import conflicts
from sync.conflicts import Conflict
from sync.registers import RowKey
from sync.registry import FieldSpec, spec_of
from sync.simulator.ledger import Place

if TYPE_CHECKING:
    from sync.simulator.invariants import Look
    from sync.simulator.world import World

DECIDED = ("set", "latest", "claim")  # policies by which nobody has to be asked
WORD = re.compile(r"\w+")


def what_was_typed_is_in_sight(world: World, here: Look) -> Iterator[str]:
    """Of several heads that say different things a text shows all that was added; or people are asked, and told every one."""
    here.conflicts = {(each.model, each.token, each.field): each for each in conflicts.conflicts()}
    for model, token, _ in here.conflicts:
        if not here.registers[RowKey(model, token)][2]:
            yield f"{token}: people are asked about what is deleted, and cannot decide it"
    for row, (_, state, alive, shown) in here.registers.items():
        spec = spec_of(row.model)
        if spec is None or spec.immutable or not (alive and shown):
            continue
        for key, heads in state.heads.items():
            name, _, element = key.partition("/")
            field = spec.fields.get(name)
            if len(heads) > 1 and field is not None and field.policy not in DECIDED:
                yield from _in_sight(world, here, (row, key), field, element or None, heads)


def _in_sight(
    world: World, here: Look, place: Place, field: FieldSpec, element: str | None, heads: tuple[bytes, ...]
) -> Iterator[str]:
    row, key = place
    said = {dot: world.ledger.writes[dot][place].value for dot in heads}
    if len(set(map(repr, said.values()))) == 1:
        return
    conflict = here.conflicts.get((row.model, row.token, key))
    if conflict is not None:
        told = {bytes.fromhex(each.dot): each.value for each in conflict.versions if each.is_held}
        if set(conflict.seen) != {dot.hex() for dot in heads} or any(said[dot] != value for dot, value in told.items()):
            yield f"{row.token} {key}: people are told something else than {len(heads)} authors wrote"
    elif not field.is_text(element):
        yield f"{row.token} {key}: of {len(heads)} different values one is shown, and nobody is asked"
    else:
        hidden = _hidden(world, place, said, _shown(row, field, element))
        if hidden:
            yield f"{row.token} {key}: {sorted(hidden)} was typed, and a merge does not show it"


def _shown(row: RowKey, field: FieldSpec, element: str | None) -> set[str]:
    spec = spec_of(row.model)
    assert spec is not None
    value = spec.model._base_manager.filter(pk=row.token).values_list(field.attname, flat=True).first()
    return _words((value or {}).get(element) if element is not None else value)


def _hidden(world: World, place: Place, said: dict[bytes, Any], shown: set[str]) -> set[str]:
    """The words of some head that are not shown, and that none of what all authors had seen had, of which somebody took them."""
    ledger = world.ledger
    common = set.intersection(*(ledger.ancestors(place, [dot]) for dot in said))
    old = {word for dot in common for word in _words(ledger.writes[dot][place].value) if place in ledger.writes[dot]}
    return {word for value in said.values() for word in _words(value)} - shown - old


def _words(value: Any) -> set[str]:
    return set(WORD.findall(re.sub(r"<[^>]*>", " ", value))) if isinstance(value, str) else set()


def all_ask_the_same(world: World, one: Look, other: Look, scopes: set[str]) -> Iterator[str]:
    """Who holds the same has the same conflicts, with the same versions; and the same base, where it was not dropped."""
    mine, theirs = (_questions(each, scopes) for each in (one, other))
    for place in sorted(mine.keys() | theirs.keys(), key=str):
        here, there = mine.get(place), theirs.get(place)
        if here is None or there is None or _told(here) != _told(there):
            yield f"{one.replica.label} and {other.replica.label} ask otherwise about {place[1]} {place[2]}"
        elif None not in (here.base, there.base) and here.base != there.base:
            yield f"{one.replica.label} and {other.replica.label} have another base for {place[1]} {place[2]}"


def _questions(here: Look, scopes: set[str]) -> dict[tuple[str, str, str | None], Conflict]:
    return {
        place: each
        for place, each in here.conflicts.items()
        if (state := here.registers.get(RowKey(place[0], place[1]))) is None or state[0] in scopes
    }


def _told(conflict: Conflict) -> tuple[Any, ...]:
    versions = tuple((each.dot, each.shown, each.field) for each in conflict.versions)
    return conflict.kind, versions, tuple(each.dot for each in conflict.deletions), conflict.seen

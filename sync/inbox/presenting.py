"""From conflicts to what the templates show: titles, labels, times, readable values, and differences with what is alike left out.

Nothing here is marked as safe: templates escape all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import models

from sync.conflicts import Conflict, Version
from sync.core.text import Segment, differences
from sync.describing import ANYTHING, Description, describer, may_decide
from sync.registry import ModelSpec, spec_of

AROUND = 1  # paragraphs that are shown before and after what differs

Names = Mapping[tuple[type[models.Model], str], str]  # the row that a token leads to, as it is called


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a difference; ``skipped``: how many that are alike were left out in its place."""

    segments: Sequence[Segment] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the versions. ``replica`` is the name of where it was written; ``what``: the label of what was written."""

    version: Version
    text: str = ""
    what: str = ""
    paragraphs: Sequence[Paragraph] = ()

    @property
    def changed(self) -> list[Paragraph]:
        """The first paragraphs that differ."""
        return [each for each in self.paragraphs if any(part.kind != "same" for part in each.segments)][:2]

    @property
    def replica(self) -> str:
        """Where it was written."""
        return self.version.origin.partition(".")[0]

    @property
    def when(self) -> datetime:
        """When, by the clock of the writer."""
        return datetime.fromisoformat(self.version.time)


@dataclass(frozen=True, slots=True)
class Card:
    """A conflict for people. ``others`` of a deletion are the deletions."""

    conflict: Conflict
    description: Description
    kind_of_row: str
    label: str
    base: str
    shown: Side | None
    others: Sequence[Side] = field(default_factory=list)
    may_decide: bool = False
    may_delete: bool = False

    @property
    def sides(self) -> list[Side]:
        """All sides, the shown one first."""
        return [*([self.shown] if self.shown else []), *self.others]

    @property
    def choices(self) -> list[tuple[Side, str]]:
        """The sides that can be taken, each with what tells it from the others: its author, or the place too, or the time too."""
        return [(side, _told_apart(side, self.sides)) for side in self.sides if side.version.is_held]

    @property
    def seen(self) -> str:
        """What is to be handed back with a decision."""
        return " ".join(self.conflict.seen)


def cards(conflicts: Sequence[Conflict], user: Any) -> list[Card]:
    """Return ``conflicts`` for people, in a number of queries that grows with the models, not with the conflicts."""
    rows = _rows(conflicts)
    names = _names(conflicts)
    described: dict[tuple[str, str], Description] = {}
    for label, found in rows.items():
        told = describer(label).describe(found.values())
        described.update({(label, token): description for token, description in told.items()})
    return [_card(each, described, rows, names, user) for each in conflicts]


def _rows(conflicts: Iterable[Conflict]) -> dict[str, dict[str, Any]]:
    tokens: dict[str, set[str]] = {}
    for conflict in conflicts:
        tokens.setdefault(conflict.model, set()).add(conflict.token)
    specs = {label: spec_of(label) for label in tokens}
    return {label: model.model._base_manager.in_bulk(list(tokens[label])) for label, model in specs.items() if model}


def _card(
    conflict: Conflict,
    described: Mapping[tuple[str, str], Description],
    rows: Mapping[str, Mapping[str, Any]],
    names: Names,
    user: Any,
) -> Card:
    model = spec_of(conflict.model)
    row = rows.get(conflict.model, {}).get(conflict.token)

    def label(name: str) -> str:
        return describer(conflict.model).label(model, name, row) if model else name

    def text(value: Any) -> str:
        return _text(value, _reference(model, conflict.field), names)

    base = text(conflict.base)

    def side(version: Version) -> Side:
        if conflict.kind != "value":
            return side_of(model, version)
        found = (
            () if conflict.base is None or not version.is_held else differences(base, text(version.value), conflict.is_markup)
        )
        return Side(version, _plain(text(version.value), conflict.is_markup), "", shortened(map(spaced, found)))

    return Card(
        conflict,
        described.get((conflict.model, conflict.token)) or Description(conflict.row),
        str(model.model._meta.verbose_name) if model else conflict.model,
        label(conflict.field) if conflict.field else "",
        _plain(base, conflict.is_markup),
        side(conflict.shown) if conflict.shown else None,
        [side(version) for version in conflict.others],
        may_decide(user, conflict.model, conflict.field or ANYTHING),
        may_decide(user, conflict.model, None),
    )


def _told_apart(side: Side, sides: Sequence[Side]) -> str:
    author = side.version.author or "somebody"
    same = [each for each in sides if each.version.author == side.version.author]
    if len(same) == 1:
        return f"{author}’s" if side.version.author else "the other’s"
    place = f"the version of {author} at {side.replica}"
    is_alone = [each.replica for each in same].count(side.replica) == 1
    return place if is_alone else f"{place}, {side.when:%H:%M:%S} UTC"


def side_of(model: ModelSpec | None, version: Version) -> Side:
    """Return a write to a row of ``model``, or to one of its parts, by itself."""
    what, is_markup = _written(model, version.field)
    return Side(version, _plain(_text(version.value, None, {}), is_markup), what)


def spaced(paragraph: Iterable[Segment]) -> Sequence[Segment]:
    """Return ``paragraph`` with the space before and behind what differs outside of the mark."""
    result: list[Segment] = []
    for part in paragraph:
        bare = part.text.strip(" ")
        if part.kind == "same" or not bare:
            result.append(part)
            continue
        start = part.text.index(bare)
        pieces = ((part.text[:start], "same"), (bare, part.kind), (part.text[start + len(bare) :], "same"))
        result += [Segment(kind, text) for text, kind in pieces if text]
    return result


def shortened(paragraphs: Iterable[Sequence[Segment]]) -> list[Paragraph]:
    """Return ``paragraphs`` with long runs of what is alike left out, but for what stands next to a difference."""
    runs = [list(run) for _, run in groupby(paragraphs, key=lambda each: all(part.kind == "same" for part in each))]
    result: list[Paragraph] = []
    for number, run in enumerate(runs):
        is_alike = all(part.kind == "same" for part in run[0])
        head = run[:AROUND] if number else []
        tail = run[-AROUND:] if number + 1 < len(runs) else []
        if not is_alike or len(run) <= len(head) + len(tail) + 1:
            result += map(Paragraph, run)
        else:
            result += [*map(Paragraph, head), Paragraph(skipped=len(run) - len(head) - len(tail)), *map(Paragraph, tail)]
    return result


def _written(model: ModelSpec | None, name: str | None) -> tuple[str, bool]:
    """Return the label of a register of a row or of one of its parts, and whether it holds markup."""
    for each in [model, *model.parts] if model and name else []:
        column, _, element = str(name).partition("/")
        if (field := each.fields.get(column)) is not None:
            return describer(each.label).label(each, str(name)), (element or None) in field.markup
    return name or "", False


def _plain(text: str, is_markup: bool) -> str:
    """Return ``text`` without its tags."""
    if not is_markup:
        return text
    return "\n\n".join("".join(part.text for part in paragraph) for paragraph in differences(text, text, True))


# -- values -----------------------------------------------------------------------------------------------------------------------


def _text(value: Any, model: type[models.Model] | None, names: Names) -> str:
    """Return a JSON value in words."""
    if model is not None and isinstance(value, str):
        return names.get((model, value), f"{value} (not here yet)") if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, list) for item in value):
        return "\n".join(" | ".join(map(str, row)) for row in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return "" if value is None else str(value)


def _reference(model: ModelSpec | None, name: str | None) -> type[models.Model] | None:
    """Return the model whose tokens stand in a register; None for none."""
    if model is None or name is None:
        return None
    spec = model.fields.get(name)
    related = spec.field.related_model if spec is not None and isinstance(spec.field, models.ForeignKey) else None
    return related or describer(model.label).references.get(name)


def _names(conflicts: Iterable[Conflict]) -> Names:
    tokens: dict[type[models.Model], set[str]] = {}
    for conflict in conflicts:
        model = _reference(spec_of(conflict.model), conflict.field)
        if model is not None:
            values = [conflict.base, *(version.value for version in conflict.versions)]
            tokens.setdefault(model, set()).update(value for value in values if isinstance(value, str) and value)
    return {
        (model, str(pk)): str(row)
        for model, found in tokens.items()
        for pk, row in model._base_manager.in_bulk(list(found)).items()
    }

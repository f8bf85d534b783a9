"""System checks of replication: a model that could not replicate never reaches a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.db import models

from sync.fields import ReferenceField
from sync.registry import POLICIES, FieldSpec, ModelSpec, all_specs


@register("sync")
def models_can_replicate(**_: Any) -> list[CheckMessage]:
    """``sync.E001`` unique columns, ``E002`` enforced references, ``E003`` fields that no two replicas write alike, ``E004`` policies,
    ``E005`` compositions that run in a circle, ``E006`` names in ops that two fields have, or that must be those of the attribute.
    """
    return [message for spec in all_specs() for message in _problems(spec)]


def _problems(spec: ModelSpec) -> Iterator[CheckMessage]:
    if wrong := list(_wrong_names(spec)):
        yield from wrong
        return
    if _runs_in_a_circle(spec):
        hint = "Two people could make each the part of the other. Use a plain ReferenceField, and sync.orphans.ignored_links."
        yield Error(f"{spec.label}.{spec.composition} makes rows parts of rows of their own model.", hint=hint, id="sync.E005")
    for name, field in spec.fields.items():
        where = f"{spec.label}.{name}"
        if field.field.unique:
            yield Error(f"{where} is unique; two replicas may write one value.", hint="Use the policy 'claim'.", id="sync.E001")
        if isinstance(field.field, models.ForeignKey) and not isinstance(field.field, ReferenceField):
            yield Error(
                f"{where} is an enforced reference; its target may arrive later.", hint="Use ReferenceField.", id="sync.E002"
            )
        if isinstance(field.field, models.FloatField | models.ManyToManyField):
            yield Error(f"{where} cannot replicate.", hint="Use a decimal, or a model of its own.", id="sync.E003")
        yield from _element_problems(spec, field)
        if field.policy not in POLICIES:
            yield Error(f"{where} has the policy {field.policy!r}.", hint=f"Use one of {', '.join(POLICIES)}.", id="sync.E004")
    unique = [c for c in spec.model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    if unique or spec.model._meta.unique_together or spec.model._meta.local_many_to_many:
        yield Error(
            f"{spec.label} has a constraint or link that cannot replicate.", hint="Name the through model.", id="sync.E003"
        )


def _wrong_names(spec: ModelSpec) -> Iterator[CheckMessage]:
    declared = getattr(spec.model, "Replication", None)
    given, local = getattr(declared, "names", {}), getattr(declared, "local", ())
    columns = [c for c in spec.model._meta.concrete_fields if not c.primary_key and c.name not in local]
    names = [given.get(column.name, column.attname) for column in columns]
    if len(set(names)) < len(names) or spec.former & set(names):
        hint = "Choose a name that no field has, nor ever had."
        yield Error(f"{spec.label} gives one name in ops to two fields.", hint=hint, id="sync.E006")
    bound = {getattr(declared, "composition", None), *spec.blobs, *spec.named, *spec.named.values()}
    for name in given.keys() & bound:
        yield Error(f"{spec.label}.{name} cannot be renamed.", hint="Make a new field, and write it.", id="sync.E006")


def _runs_in_a_circle(spec: ModelSpec) -> bool:
    seen: list[ModelSpec] = []
    place: ModelSpec | None = spec
    while place is not None and place not in seen:
        seen.append(place)
        place = place.whole
    return place is not None


def _element_problems(spec: ModelSpec, field: FieldSpec) -> Iterator[CheckMessage]:
    """What is declared for the keys of a map."""
    declared = getattr(spec.model, "Replication", None)
    for name, policy in getattr(declared, "policies", {}).items():
        if not name.startswith(f"{field.field.name}/"):
            continue
        where = f"{spec.label}.{name}"
        if field.policy != "map":
            yield Error(f"{where} is declared, and {field.field.name} has no keys.", hint="Use a MapField.", id="sync.E004")
        elif policy not in ("register", "text"):
            yield Error(f"{where} has the policy {policy!r}.", hint="Use register or text for keys of a map.", id="sync.E004")

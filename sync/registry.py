"""What each replicated model declares, made ready once: fields, policies, and how values become JSON and come back.

``spec(model)`` by class, ``spec_of(label)`` by name (``content.page``). A label that is not known here yields None: its
changes are kept and passed on, and shown after the upgrade that brings the model.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.dateparse import parse_datetime

from sync.core.policy import ALL
from sync.replicated import ReplicatedModel

POLICIES = ("register", "text", "latest", "set", "map", "claim")
Scope = Callable[[dict[str, Any]], str]

# What a column shows that must not be empty and that nobody has written, as in a row whose first writes have not come.
EMPTY: dict[type[models.Field[Any, Any]], Any] = {
    models.BooleanField: False,
    models.IntegerField: 0,
    models.DecimalField: Decimal(0),
    models.DateTimeField: datetime(1970, 1, 1, tzinfo=UTC),
    models.DateField: date(1970, 1, 1),
    models.TimeField: time(),
    models.JSONField: {},
}


def _same(value: Any) -> Any:
    return value


def is_same(function: Callable[[Any], Any]) -> bool:
    """Say whether ``function`` is the one that changes nothing."""
    return function is _same


def _to_text(value: Any) -> Any:
    return None if value is None else str(value)


def _from_base64(value: Any) -> Any:
    return None if value is None else base64.b64decode(value)


def _to_base64(value: Any) -> Any:
    return None if value is None else base64.b64encode(bytes(value)).decode()


def _to_iso(value: Any) -> Any:
    return None if value is None else value.isoformat()


@dataclass(frozen=True, eq=False)
class FieldSpec:
    """One replicated field: ``name`` as it stands in ops (the attribute name), its policy, its two conversions.

    ``texts``: the elements of a map whose policy is ``text``. ``markup``: those of them that are HTML; None stands for the
    field itself. ``cleaners``: by element, what makes a merged value safe. ``empty_wins``: of several heads, one that says
    None is shown. ``called``: the name in ops, where a release has renamed the field.
    """

    field: models.Field[Any, Any]
    policy: str
    clean: Callable[[Any], Any]
    texts: frozenset[str] = frozenset()
    markup: frozenset[str | None] = frozenset()
    cleaners: Mapping[str, Callable[[Any], Any]] = dataclasses.field(default_factory=dict)
    empty_wins: bool = False
    called: str = ""

    def is_text(self, element: str | None) -> bool:
        """Whether the field, or this element of a map, is merged."""
        return self.policy == "text" if element is None else element in self.texts

    def clean_merged(self, element: str | None, value: Any) -> Any:
        """Return a merged value, made safe to show."""
        return self.clean(value) if element is None else self.cleaners.get(element, _same)(value)

    @property
    def name(self) -> str:
        """The name in ops: ``section_id`` for a reference. It stays for ever, also where the field is renamed."""
        return self.called or self.field.attname

    @property
    def attname(self) -> str:
        """The name of the attribute of an instance."""
        return self.field.attname

    @cached_property
    def to_json(self) -> Callable[[Any], Any]:
        """From the value of a model instance to JSON."""
        target: models.Field[Any, Any] = self.field
        if isinstance(target, models.DateTimeField | models.DateField | models.TimeField):
            return _to_iso
        if isinstance(target, models.BinaryField):
            return _to_base64
        if isinstance(target, models.DecimalField | models.UUIDField):
            return _to_text
        return _same

    @cached_property
    def from_json(self) -> Callable[[Any], Any]:
        """From JSON to the value of a model instance. Raises ValidationError or ValueError."""
        if isinstance(self.field, models.BinaryField):
            return _from_base64
        if isinstance(self.field, models.DateTimeField):
            return lambda value: None if value is None else parse_datetime(value)
        if isinstance(self.field, models.JSONField):
            return _same
        return self.field.to_python

    def empty(self) -> Any:
        """The value where nobody has written one: the default, or what is empty for the type."""
        if self.policy == "set":
            return []
        if self.policy == "map":
            return {}
        # A default such as timezone.now would show another value on every replica.
        if self.field.has_default() and (not callable(self.field.default) or self.field.default in (list, dict)):
            return self.field.get_default()
        if self.field.null:
            return None
        return next((value for kind, value in EMPTY.items() if isinstance(self.field, kind)), "")


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """One replicated model. ``fields`` by name in ops; ``composition`` names the reference to what a row is part of.

    ``named``: a field that repeats the claimed name of another row -> the reference to that row. ``former``: names in ops of
    fields that this release has no more.
    """

    model: type[ReplicatedModel]
    fields: Mapping[str, FieldSpec]
    composition: str | None
    blobs: tuple[str, ...]
    scope: Scope
    named: Mapping[str, str] = dataclass_field(default_factory=dict)
    immutable: bool = False
    former: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """``app.model`` in lower case."""
        return self.model._meta.label_lower

    @property
    def table(self) -> str:
        """The database table."""
        return self.model._meta.db_table

    @property
    def is_for_all(self) -> bool:
        """Whether its rows belong to everybody: it declares no scope."""
        return self.scope is _everybody

    @cached_property
    def names(self) -> list[str]:
        """The names of the fields, in order."""
        return list(self.fields)

    @cached_property
    def claims(self) -> frozenset[str]:
        """The fields of policy ``claim``."""
        return frozenset(name for name, field in self.fields.items() if field.policy == "claim")

    @cached_property
    def renamed(self) -> dict[str, str]:
        """Attribute name -> name in ops, of the fields of which these differ."""
        return {field.attname: name for name, field in self.fields.items() if field.attname != name}

    def read(self, query: models.QuerySet[Any]) -> Any:
        """Return ``query`` as one that yields a dictionary for each row: ``token``, and values by name in ops."""
        renamed = {name: models.F(attname) for attname, name in self.renamed.items()}
        return query.values("token", *(name for name in self.fields if name not in renamed), **renamed)

    def in_ops(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return ``values``, which are by attribute name, by name in ops."""
        return {self.renamed.get(name, name): value for name, value in values.items()} if self.renamed else values

    def unknown(self, registers: Iterable[str]) -> set[str]:
        """Return the fields among ``registers`` (``field`` or ``field/element``) that this release does not know, and not of old."""
        return {name.split("/", 1)[0] for name in registers} - self.fields.keys() - self.former

    @cached_property
    def claimers(self) -> dict[str, tuple[str, str | None]]:
        """The fields that show names of claims: field -> model that claims, reference to the row that does (None: this row)."""
        own: dict[str, tuple[str, str | None]] = {
            n: (self.label, None) for n, field in self.fields.items() if field.policy == "claim"
        }
        for name, reference in self.named.items():
            target: Any = self.fields[reference].field.related_model
            own[name] = (target._meta.label_lower, reference)
        return own

    @cached_property
    def parts(self) -> list[ModelSpec]:
        """The models whose rows are parts of rows of this one."""
        return [other for other in all_specs() if other.composition and other.whole is self]

    @cached_property
    def whole(self) -> ModelSpec | None:
        """The model of which rows of this one are parts."""
        if self.composition is None:
            return None
        return spec(self.fields[self.composition].field.related_model)  # type: ignore[arg-type]


def _everybody(_: dict[str, Any]) -> str:
    return ALL


@lru_cache(maxsize=256)
def _build(model: type[ReplicatedModel]) -> ModelSpec:
    declared = getattr(model, "Replication", None)
    local = getattr(declared, "local", ())
    composition = getattr(declared, "composition", None)
    columns = [c for c in model._meta.concrete_fields if not c.primary_key and c.name not in local]
    fields = {field.name: field for field in (_field(declared, column) for column in columns)}
    return ModelSpec(
        model=model,
        fields=fields,
        composition=model._meta.get_field(composition).attname if composition else None,  # type: ignore[union-attr]
        blobs=tuple(getattr(declared, "blobs", ())),
        named={n: model._meta.get_field(ref).attname for n, ref in getattr(declared, "named", {}).items()},  # type: ignore[union-attr]
        scope=_scope(getattr(declared, "scope", None)),
        immutable=getattr(declared, "immutable", False),
        former=frozenset(getattr(declared, "former", ())),
    )


def _field(declared: Any, column: models.Field[Any, Any]) -> FieldSpec:
    policies, cleaners = getattr(declared, "policies", {}), getattr(declared, "clean", {})
    markup = dict.fromkeys(getattr(declared, "markup", ()), True)
    prefix = f"{column.name}/"
    own: dict[str, str] = _below(policies, prefix)
    return FieldSpec(
        column,
        policies.get(column.name, getattr(column, "policy", "register")),
        cleaners.get(column.name, _same),
        texts=frozenset(element for element, policy in own.items() if policy == "text"),
        markup=frozenset([*_below(markup, prefix), *([None] if column.name in markup else [])]),
        cleaners=_below(cleaners, prefix),
        empty_wins=column.name in getattr(declared, "empty_wins", ()),
        called=getattr(declared, "names", {}).get(column.name, ""),
    )


def _below(declared: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return what is declared for the elements of a field, by element."""
    return {name.removeprefix(prefix): value for name, value in declared.items() if name.startswith(prefix)}


def _scope(declared: Any) -> Scope:
    if declared is None:
        return _everybody
    return getattr(declared, "__func__", declared)


def spec(model: type[models.Model]) -> ModelSpec | None:
    """Return what ``model`` (or the model that it is a proxy of) declares; None where it does not replicate."""
    concrete = model._meta.concrete_model
    if concrete is None or not issubclass(concrete, ReplicatedModel):
        return None
    return _build(concrete)


def spec_of(label: str) -> ModelSpec | None:
    """Return the spec of ``app.model``; None where it is not known here, or does not replicate."""
    app, _, name = label.partition(".")
    model = apps.all_models.get(app, {}).get(name)  # the quick way: this is asked for every row that comes
    if model is not None:
        return spec(model)
    try:
        return spec(apps.get_model(label))
    except (LookupError, ValueError):
        return None


def all_specs() -> list[ModelSpec]:
    """Return the specs of all replicated models, by label."""
    found = [spec(model) for model in apps.get_models() if not model._meta.proxy]
    return sorted((item for item in found if item is not None), key=lambda item: item.label)

"""What a release knows: some models or fields of the site, hidden from a replica that has not been upgraded yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from django.db import models

from sync import registry
from sync.registry import ModelSpec


@dataclass(eq=False)
class Release:
    """The program of a replica. ``hidden``: labels of models (``content.redirect``) and fields (``content.page.summary``)."""

    hidden: frozenset[str] = frozenset()
    _known: dict[type[models.Model], ModelSpec | None] = field(default_factory=dict)

    def build(self, model: Any) -> ModelSpec | None:
        """Return what this release declares of ``model``; None where it does not know it."""
        if model not in self._known:
            self._known[model] = self._without(_full(model))
        return self._known[model]

    def _without(self, full: ModelSpec) -> ModelSpec | None:
        if full.label in self.hidden:
            return None
        fields = {name: spec for name, spec in full.fields.items() if f"{full.label}.{name}" not in self.hidden}
        return replace(full, fields=fields)


_full = registry._build
_current: list[Release] = [Release()]


@contextmanager
def running(release: Release) -> Iterator[None]:
    """Let ``release`` be the program within."""
    _current.append(release)
    try:
        yield
    finally:
        _current.pop()


@contextmanager
def by_release() -> Iterator[None]:
    """Let the registry answer as the release that is running does."""
    with patch.object(registry, "_build", lambda model: _current[-1].build(model)):
        yield


def hideable() -> list[str]:
    """Return the labels of what an older release may not know: models nobody refers to, and fields with a value for empty."""
    specs = registry.all_specs()
    wholes = {spec.whole.label for spec in specs if spec.whole is not None}
    targets = {f.field.related_model._meta.label_lower for s in specs for f in s.fields.values() if f.field.is_relation}  # type: ignore[union-attr]
    found = [spec.label for spec in specs if spec.label not in wholes | targets]
    for spec in specs:
        found += [f"{spec.label}.{name}" for name, item in spec.fields.items() if _is_optional(spec, item)]
    return sorted(found)


def _is_optional(spec: ModelSpec, item: registry.FieldSpec) -> bool:
    """Whether a release can do without the field: it has a value for empty, and nothing else hangs on it."""
    target = item.field
    is_automatic = getattr(target, "auto_now", False) or getattr(target, "auto_now_add", False)
    has_default = target.has_default() and (not callable(target.default) or target.default in (list, dict))
    decides_scope = spec.scope is not registry._everybody and not target.editable
    return (target.blank or target.null or has_default) and not (target.is_relation or is_automatic or decides_scope)

"""What people do with the rows of any replicated model, by the ways of the ORM, and what they had before their eyes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from sync import conf, registry
from sync.registers import RowKey
from sync.registry import FieldSpec, ModelSpec, all_specs, spec_of
from sync.simulator import parts, samples, tabs
from sync.simulator.deeds import Deed, Intent, heads_of

HOT = 5  # rows of a model among which people choose


class Editor:
    """Somebody who writes at the replica that runs now, with the dice ``random``."""

    def __init__(self, random: Random) -> None:
        self.random, self.deed = random, Deed()

    def known(self) -> list[ModelSpec]:
        """The models that are known here and that can be made or edited."""
        return samples.order(all_specs())

    def tokens(self, spec: ModelSpec) -> list[str]:
        """The first rows of a model: few, so that several people meet at one."""
        return list(spec.model._base_manager.order_by("token").values_list("token", flat=True)[:HOT])

    def pick(self, is_editable: bool = True) -> Any:
        """Return the instance of some row; None where there is none."""
        specs = [s for s in self.known() if not (is_editable and s.model._is_immutable())]
        self.random.shuffle(specs)
        for spec in specs:
            tokens = self.tokens(spec)
            if tokens:
                return spec.model._base_manager.get(pk=self.random.choice(tokens))
        return None

    def create(self, spec: ModelSpec | None = None) -> Any:
        """Make a row; of a model whose references can be satisfied."""
        choices = [spec] if spec else [s for s in self.known() if self._can_make(s)]
        if not choices:
            return None
        chosen = self.random.choice(choices)
        instance = chosen.model(**self._values(chosen))
        if self.random.random() < 0.7 or any(item.policy == "claim" for item in chosen.fields.values()):
            instance.save()
        else:
            chosen.model._base_manager.bulk_create([instance])
        self._made(chosen, instance)
        return instance

    def _made(self, spec: ModelSpec, instance: Any) -> None:
        row = RowKey(spec.label, instance.pk)
        self.deed.made.append(row)
        self.deed.what.append(f"makes {spec.label} {instance.pk}")
        for name, item in spec.fields.items():
            wants = item.to_json(getattr(instance, item.attname))
            self.deed.intents.append(Intent(row, name, None, None, copy.deepcopy(wants), {}))

    def _can_make(self, spec: ModelSpec) -> bool:
        return all(self._targets(f) for f in spec.fields.values() if f.field.is_relation and not f.field.null)

    def _targets(self, item: Any) -> list[str]:
        label = samples.target_of(item)
        spec = spec_of(label) if label else None
        return self.tokens(spec) if spec else []

    def _values(self, spec: ModelSpec) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, item in spec.fields.items():
            if item.policy == "claim" or name in spec.blobs or getattr(item.field, "auto_now_add", False):
                continue
            if _decides_scope(spec, item):
                values[item.attname] = conf.farm()
                continue
            if item.field.is_relation:
                values[item.attname] = self._reference(item)
            elif not item.field.has_default() or item.policy in ("set", "map") or self.random.random() < 0.3:
                values[item.attname] = samples.value(item, self.random)
        return values

    def _reference(self, item: Any) -> Any:
        targets = self._targets(item)
        if not targets or (item.field.null and self.random.random() < 0.5):
            return None
        return self.random.choice(targets)

    def changeable(self, spec: ModelSpec) -> list[str]:
        """The fields that people change."""
        return [name for name, item in spec.fields.items() if self._may_change(spec, name, item)]

    def change(self, instance: Any, names: Sequence[str] = ()) -> list[str]:
        """Change the fields ``names`` of ``instance``, or one or two; return their names."""
        spec = spec_of(type(instance)._meta.label_lower)
        assert spec is not None
        free = self.changeable(spec)
        chosen = list(names) or self.random.sample(free, min(len(free), self.random.choice((1, 1, 2))))
        for name in chosen:
            item = spec.fields[name]
            if item.field.is_relation:
                found = self._reference(item)
                if found is not None or item.field.null:
                    setattr(instance, item.attname, found)
            else:
                present = copy.deepcopy(getattr(instance, item.attname))
                setattr(instance, item.attname, samples.value(item, self.random, present))
        return chosen

    def _may_change(self, spec: ModelSpec, name: str, item: Any) -> bool:
        is_automatic = getattr(item.field, "auto_now", False) or getattr(item.field, "auto_now_add", False)
        is_free = item.policy != "claim" and name not in spec.blobs and not is_automatic
        return is_free and not _decides_scope(spec, item)

    def save(self) -> None:
        """Load a row, change it, save it."""
        tab = tabs.open_row(self, 0)
        if tab is not None:
            tabs.submit(self, tab)

    def update(self) -> None:
        """Set a field of some rows by one statement."""
        instance = self.pick()
        if instance is None:
            return
        spec = spec_of(type(instance)._meta.label_lower)
        assert spec is not None
        tokens = self.random.sample(self.tokens(spec), 1) if self.random.random() < 0.6 else self.tokens(spec)
        changed = self.change(instance)[:1]
        for name in changed:
            item = spec.fields[name]
            wants = getattr(instance, item.attname)
            for token in tokens:
                was = item.to_json(spec.model._base_manager.filter(pk=token).values_list(item.attname, flat=True)[0])
                row = RowKey(spec.label, token)
                intent = Intent(row, name, was, was, item.to_json(copy.deepcopy(wants)), heads_of(row), is_statement=True)
                self.deed.intents.append(intent)
            spec.model._base_manager.filter(pk__in=tokens).update(**{item.attname: wants})
            self.deed.what.append(f"updates {name} of {len(tokens)} {spec.label}")

    def delete(self) -> None:
        """Delete a row with what is part of it, where nothing protects it."""
        instance = self.pick()
        if instance is not None:
            parts.delete(self, instance)

    def several(self) -> None:
        """Do some things in one transaction."""
        ways = self.random.choice(((self.create, self.save), (self.create, self.update)))
        for _ in range(self.random.randint(2, 3)):
            self.random.choice(ways)()


def _decides_scope(spec: ModelSpec, item: FieldSpec) -> bool:
    """Whether the program fills ``item`` by itself, to say which farm a row belongs to."""
    return spec.scope is not registry._everybody and not item.field.editable and not item.field.is_relation


Act = Callable[[Editor], Any]
ACTS: dict[str, Act] = {
    "create": lambda editor: editor.create(),
    "save": lambda editor: editor.save(),
    "update": lambda editor: editor.update(),
    "delete": lambda editor: editor.delete(),
    "several": lambda editor: editor.several(),
}


@cache
def acts() -> dict[str, Act]:
    """Return what people can do: the acts that suit any model, and those that apps bring in a module ``simulation``."""
    found = dict(ACTS)
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "simulation"):
            found.update(import_module(f"{app.name}.simulation").ACTS)
    return found

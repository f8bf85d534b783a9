"""Rows that people have open and save later: instances, forms that show values, and forms that carry versions besides."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import ProtectedError

from sync.registers import RowKey
from sync.registry import FieldSpec, ModelSpec, spec_of
from sync.simulator.deeds import Intent, Tab, heads_of
from sync.versions import Versions

if TYPE_CHECKING:
    from sync.simulator.edits import Editor

LATE = 0.35  # of the times that a form is sent once more: the save that was sent first comes last
DROPS = 0.1  # of the times that a form which carries versions is sent: it deletes its row


def open_row(editor: Editor, number: int, carries_versions: bool = False, instance: Any = None) -> Tab | None:
    """Open some row, or the one of ``instance``, to be saved later."""
    instance = instance or editor.pick()
    if instance is None:
        return None
    row = RowKey(type(instance)._meta.label_lower, instance.pk)
    carried = Versions.read([row]).pack() if carries_versions else ""
    spec = spec_of(row.model)
    assert spec is not None
    loaded = {f.attname: copy.deepcopy(instance.__dict__.get(f.attname)) for f in spec.fields.values()}
    is_form = carries_versions or editor.random.random() < 0.5
    return Tab(number, instance, heads_of(row), is_form, loaded, carried)


def submit(editor: Editor, tab: Tab, names: Sequence[str] = ()) -> None:
    """Change what stands in ``tab``, in the fields ``names`` or in some, and save that."""
    shown = tab.instance
    spec = spec_of(type(shown)._meta.label_lower)
    if spec is None:
        return
    present = spec.model._base_manager.filter(pk=shown.pk).first()
    if present is None:
        editor.deed.what.append(f"finds {shown.pk} gone")
        return
    tab.sending = 0 if tab.count and editor.random.random() < LATE else tab.count + 1
    tab.count = max(tab.count, tab.sending)
    if tab.carried and editor.random.random() < DROPS:
        _drop(editor, spec, tab, present)
        return
    changed = editor.change(shown, names)
    target = _through_form(tab, present) if tab.is_form else shown
    standing = heads_of(RowKey(spec.label, shown.pk)) if tab.carried else {}
    for name in _typed(spec, tab) if tab.carried else changed:
        _intend(editor, spec, spec.fields[name], target, tab, standing)
    target.save()
    how = f" by a form, sent {tab.sending}" if tab.carried else " by a form" if tab.is_form else ""
    editor.deed.what.append(f"saves {spec.label} {shown.pk} {','.join(changed)}{how}")


def _typed(spec: ModelSpec, tab: Tab) -> list[str]:
    """The fields that do not show any more what the form was opened with."""
    shown = tab.instance.__dict__
    present = {item.attname: name for name, item in spec.fields.items()}
    return [present[name] for name, saw in tab.loaded.items() if name in present and shown.get(name) != saw]


def _carry(tab: Tab, instance: Any) -> None:
    """Tell ``instance`` what the versions say that came with the form."""
    versions = Versions.unpack(tab.carried, tab.sending)
    assert versions is not None
    versions.see(instance, tab.loaded)


def _through_form(tab: Tab, present: Any) -> Any:
    """As a form does: only what was changed in it is written, and what it showed is said to have been seen."""
    for name, saw in tab.loaded.items():
        if tab.instance.__dict__.get(name) != saw:
            present.see(name, saw)
            setattr(present, name, copy.deepcopy(getattr(tab.instance, name)))
    if tab.carried:
        _carry(tab, present)
    return present


def _drop(editor: Editor, spec: ModelSpec, tab: Tab, present: Any) -> None:
    """The form deletes its row."""
    row = RowKey(spec.label, present.pk)
    standing = frozenset(dot for dots in heads_of(row).values() for dot in dots)
    try:
        with transaction.atomic():
            _carry(tab, present)
            present.delete()
    except ProtectedError:
        editor.deed.what.append(f"may not delete {row.token}")
        return
    editor.deed.dropped[row] = tab, standing
    editor.deed.what.append(f"deletes {row.model} {row.token} by a form, sent {tab.sending}")


def _intend(
    editor: Editor, spec: ModelSpec, item: FieldSpec, target: Any, tab: Tab, standing: dict[str, frozenset[bytes]]
) -> None:
    row, saw = RowKey(spec.label, target.pk), tab.loaded[item.attname]
    was = spec.model._base_manager.filter(pk=target.pk).values_list(item.attname, flat=True).first()
    wants = copy.deepcopy(getattr(target, item.attname))
    values = item.to_json(saw), item.to_json(was), item.to_json(wants)
    carrying = tab if tab.carried else None
    editor.deed.intents.append(Intent(row, item.name, *values, tab.heads, tab=carrying, standing=standing))

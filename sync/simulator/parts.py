"""Rows that are part of others, as blocks are of a page: what keeps a deleted one alive, and what ends that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import ProtectedError

from sync.core.register import Row
from sync.models import Register
from sync.registers import RowKey
from sync.registry import ModelSpec

if TYPE_CHECKING:
    from sync.simulator.edits import Editor


def add_part(editor: Editor, spec: ModelSpec, whole: str) -> None:
    """Make a row of ``spec`` that is part of ``whole``."""
    part = editor.create(spec)
    name = spec.fields[str(spec.composition)].field.attname
    if part is not None and getattr(part, name) != whole:
        setattr(part, name, whole)
        part.save()
        editor.deed.intents = [intent for intent in editor.deed.intents if intent.name != spec.composition]


def hanging(editor: Editor) -> list[tuple[RowKey, ModelSpec]]:
    """Return the wholes that live, against a deletion, by their parts alone, each with the model of the parts."""
    rows = Register.objects.filter(undecided=True, alive=True).order_by("key").values_list("model", "token", "state")
    wholes = [RowKey(model, token) for model, token, state in rows if not Row.decode(bytes(state)).own]
    return [(whole, spec) for whole in wholes for spec in _of(editor, whole.model) if _parts(spec, whole.token)]


def sever(editor: Editor) -> None:
    """Take a part away from a whole that lives by its parts alone."""
    found = hanging(editor)
    if found:
        whole, spec = editor.random.choice(found)
        _take_away(editor, spec, editor.random.choice(_parts(spec, whole.token)), whole.token)


def _of(editor: Editor, label: str) -> list[ModelSpec]:
    """The models of which rows are parts of rows of ``label``."""
    return [spec for spec in editor.known() if spec.whole is not None and spec.whole.label == label]


def _parts(spec: ModelSpec, whole: str) -> list[str]:
    found = spec.model._base_manager.filter(**{str(spec.composition): whole}).order_by("token")
    return list(found.values_list("token", flat=True))


def _take_away(editor: Editor, spec: ModelSpec, token: str, whole: str) -> None:
    part = spec.model._base_manager.get(pk=token)
    others = [other for other in editor.tokens(spec.whole) if other != whole] if spec.whole else []
    if not others or editor.random.random() < 0.5:
        delete(editor, part)
        return
    setattr(part, spec.fields[str(spec.composition)].field.attname, editor.random.choice(others))
    part.save()
    editor.deed.what.append(f"moves {spec.label} {token} away from {whole}")


def delete(editor: Editor, instance: Any) -> None:
    """Delete a row with what is part of it, where nothing protects it."""
    row = RowKey(type(instance)._meta.label_lower, instance.pk)
    try:
        with transaction.atomic():
            _, found = instance.delete()
    except ProtectedError:
        editor.deed.what.append(f"may not delete {row.token}")
        return
    editor.deed.deleted.append(row)
    editor.deed.what.append(f"deletes {row.model} {row.token}: {sum(found.values())} rows")

"""From the formsets of blocks to rows: what was not changed is not written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from content.editor.arrange import arrange
from content.editor.formsets import BlockFormSet
from content.editor.loaded import loaded
from content.forms.blocks import BlockForm
from content.models import Block, Page
from sync.versions import Versions


def in_form_order(formsets: Iterable[BlockFormSet]) -> list[BlockForm]:
    """Return the forms of all blocks that stay or come, in the order that the editor gave them.

    Where no stored block was moved in the form, they stand as they are stored now, which may be another order than the form's.
    """
    forms = [form for formset in formsets for form in formset.live_forms()]
    moved = any("ordering" in form.changed_data for form in forms if not (form.is_new or form.is_resent))
    last = 1 << 31  # a block without a number comes last

    def place(form: BlockForm) -> tuple[int, bool]:
        here = getattr(form, "cleaned_data", {}).get("ordering") or last
        return (here if moved or form.is_new else form.initial.get("ordering") or last), form.is_new

    return sorted(forms, key=place)


def save_blocks(page: Page, formsets: list[BlockFormSet]) -> bool:
    """Write what the valid ``formsets`` changed, in a number of queries that does not grow with the blocks.

    Leaves ``new_objects``, ``changed_objects`` and ``deleted_objects`` on each formset, as Django's own do.
    Returns whether anything was written.
    """
    for formset in formsets:
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
    deleted = _delete(page, formsets)
    forms = in_form_order(formsets)
    for form in forms:
        form.settle()
    keys = arrange([("" if form.is_new else form.instance.ordering, form.instance.token) for form in forms])
    home = {id(form): formset for formset in formsets for form in formset.forms}
    new: list[Block] = []
    changed: dict[tuple[str, ...], list[Block]] = defaultdict(list)
    for form, key in zip(forms, keys, strict=True):
        values = _values(form, key)
        if form.is_new:
            new.append(_new_block(page, form, values))
            home[id(form)].new_objects.append(new[-1])
        elif differing := _apply(form, values, loaded(page).versions):
            changed[differing].append(form.instance)
            home[id(form)].changed_objects.append((form.instance, list(differing)))
    Block.objects.bulk_create(new)
    for fields, blocks in changed.items():
        for block in blocks:
            block.admit(fields)
        Block.objects.bulk_update(blocks, fields)
    return bool(deleted or new or changed)


def _delete(page: Page, formsets: list[BlockFormSet]) -> bool:
    for formset in formsets:
        stored: list[Any] = [form for form in formset.deleted_forms if not form.instance._state.adding]
        for form in stored:
            form.admit_what_was_seen(loaded(page).versions)
        formset.deleted_objects = [form.instance for form in stored]
    tokens = [block.token for formset in formsets for block in formset.deleted_objects]
    if tokens:
        Block.objects.filter(token__in=tokens).delete()
    return bool(tokens)


def _values(form: BlockForm, key: str) -> dict[str, Any]:
    return {"region": form.cleaned_data["region"], "ordering": key, "data": form.data_to_store()}


def _new_block(page: Page, form: BlockForm, values: dict[str, Any]) -> Block:
    return Block(token=form.instance.token, parent=page, type=form.kind, **values)


def _apply(form: BlockForm, values: dict[str, Any], versions: Versions | None) -> tuple[str, ...]:
    """Put ``values`` into the block of ``form`` and return the names of the fields that were another."""
    block = form.instance
    differing = tuple(name for name, value in values.items() if getattr(block, name) != value)
    form.admit_what_was_seen(versions)
    for name in differing:
        setattr(block, name, values[name])
    return differing

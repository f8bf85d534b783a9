"""What the template of the blocks shows of each form, put together here: hundreds of look-ups in a template cost more than all else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from content.forms.blocks import BlockForm

CARRIED = ("token", "region", "ordering")  # what says which block it is and where it stands


def block(form: BlockForm, number: int | str, label: int) -> dict[str, Any]:
    """Return what the template shows of the form of a block. ``number`` is that of its inputs."""
    return {
        "number": number,
        "name": str(form.instance) if form.is_stored else f"#{label}",
        "is_stored": form.is_stored,
        "is_empty": number == "empty",
        "errors": form.non_field_errors(),
        "delete": _box(form["DELETE"]) if form.is_stored and "DELETE" in form.fields else "",
        "fields": [_field(form, form[name]) for name in form.written],
        "carried": [{"name": name, "errors": form[name].errors, "input": _input(form, form[name])} for name in CARRIED],
    }


def _field(form: BlockForm, bound: forms.BoundField) -> dict[str, Any]:
    """Return what is shown of a field that people write in."""
    is_checkbox = isinstance(bound.field.widget, forms.CheckboxInput)
    return {
        "name": bound.name,
        "errors": bound.errors,
        "is_checkbox": is_checkbox,
        "label": _label_of_a_box(bound) if is_checkbox else bound.label_tag(),
        "input": _input(form, bound),
        "help": bound.help_text,
        "id": bound.auto_id,
    }


def _box(bound: forms.BoundField) -> SafeString:
    """Return the box that deletes a block."""
    return bound.as_widget() + _label_of_a_box(bound, "vCheckboxLabel inline")


def _label_of_a_box(bound: forms.BoundField, kind: str = "vCheckboxLabel") -> SafeString:
    return format_html('<label class="{}" for="{}">{}</label>', kind, bound.id_for_label, bound.label)


def _input(form: BlockForm, bound: forms.BoundField) -> SafeString:
    """Return the input, and the hidden one with the value that it was loaded with."""
    if form.is_bound:
        return SafeString(bound)
    own = _hidden(bound, bound.html_name, bound.auto_id) if bound.is_hidden else bound.as_widget()
    return own + _hidden(bound, bound.html_initial_name, bound.html_initial_id) if bound.field.show_hidden_initial else own


def _hidden(bound: forms.BoundField, name: str, key: str) -> SafeString:
    """Return a hidden input as Django's widget renders it for a form that was not sent yet."""
    value = bound.value()
    if value is None or value == "":
        return format_html('<input type="hidden" name="{}" id="{}">', name, key)
    return format_html('<input type="hidden" name="{}" value="{}" id="{}">', name, value, key)

"""What the templates show of the form of a page, put together here: thousands of look-ups in templates cost more than all else.

The markup is that of Django's ``admin/includes/fieldset.html``, one field on a line. Names and ids of inputs are made of names of
fields; what else is not markup already is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from content.forms.blocks import BlockForm

CARRIED = ("token", "region", "ordering")  # what says which block it is and where it stands


def fieldsets(form: forms.BaseForm, declared: Iterable[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Return what is shown of ``declared``, as ``ModelAdmin.fieldsets`` has it, of the form of a page."""
    return [
        {
            "number": number,
            "name": name,
            "classes": " ".join(options.get("classes", ())),
            "is_head": "editor-head" in options.get("classes", ()),
            "is_collapsible": "collapse" in options.get("classes", ()) and not set(options["fields"]) & form.errors.keys(),
            "rows": _rows(form, options["fields"]),
        }
        for number, (name, options) in enumerate(declared)
    ]


def block(form: BlockForm, number: int | str, label: int) -> dict[str, Any]:
    """Return what is shown of the form of a block. ``number`` is that of its inputs."""
    return {
        "number": number,
        "name": str(form.instance) if form.is_stored else f"#{label}",
        "is_stored": form.is_stored,
        "is_empty": number == "empty",
        "errors": form.non_field_errors(),
        "delete": _box(form["DELETE"]) if form.is_stored and "DELETE" in form.fields else "",
        "rows": _rows(form, form.written) + _safe("".join(_carried(form[name]) for name in CARRIED)),
    }


def _safe(markup: str) -> SafeString:
    return mark_safe(markup)  # noqa: S308 - put together here, of what is escaped


def _rows(form: forms.BaseForm, names: Sequence[str]) -> SafeString:
    return _safe("".join(_row(form[name]) for name in names))


def _row(bound: forms.BoundField) -> str:
    """Return the line of a field that people write in: mistakes, label and input, help."""
    is_checkbox = isinstance(bound.field.widget, forms.CheckboxInput)
    errors, box = (" errors" if bound.errors else ""), (" checkbox-row" if is_checkbox else "")
    inside = f"{_input(bound)}{_label_of_a_box(bound)}" if is_checkbox else f"{bound.label_tag()}{_input(bound)}"
    return (
        f'<div class="form-row{errors} field-{bound.name}">{bound.errors if errors else ""}\n'
        f'<div><div class="flex-container{box}">{inside}</div>{_help(bound)}</div>\n</div>\n'
    )


def _carried(bound: forms.BoundField) -> str:
    """Return the line of a field that nobody sees."""
    errors = bound.errors
    return f'<div class="form-row hidden field-{bound.name}">{errors if errors else ""}{_input(bound)}</div>\n'


def _help(bound: forms.BoundField) -> str:
    """Return the help, which is markup, as in Django's admin: a notice of a conflict may stand in it."""
    if not bound.help_text:
        return ""
    return f'\n<div class="help" id="{bound.auto_id}_helptext"><div>{bound.help_text}</div></div>'


def _box(bound: forms.BoundField) -> SafeString:
    """Return the box that deletes a block."""
    return bound.as_widget() + _label_of_a_box(bound, "vCheckboxLabel inline")


def _label_of_a_box(bound: forms.BoundField, kind: str = "vCheckboxLabel") -> SafeString:
    return format_html('<label class="{}" for="{}">{}</label>', kind, bound.id_for_label, bound.label)


def _input(bound: forms.BoundField) -> str:
    """Return the input, and the hidden one with the value that it was loaded with."""
    if bound.form.is_bound:
        return str(bound)
    own = _hidden(bound, bound.html_name, bound.auto_id) if bound.is_hidden else bound.as_widget()
    return own + _hidden(bound, bound.html_initial_name, bound.html_initial_id) if bound.field.show_hidden_initial else own


def _hidden(bound: forms.BoundField, name: str, key: str) -> str:
    """Return a hidden input as Django's widget renders it for a form that was not sent yet."""
    value = bound.value()
    shown = "" if value is None or value == "" else f' value="{conditional_escape(value)}"'
    return f'<input type="hidden" name="{name}"{shown} id="{key}">'

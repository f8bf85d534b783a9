"""How rows and their fields are told to people. A project says more about its models by a Describer of its own::

class PageDescriber(Describer):
    def describe(self, rows): return {row.pk: Description(row.title, reverse("…", args=[row.slug])) for row in rows}

describing.register("content.page", PageDescriber())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from sync.registry import FieldSpec, ModelSpec, spec_of

ANYTHING = ""  # the name of no register: whether somebody may change the rows of a model at all


class Description(NamedTuple):
    """What a row is called, and the address in the admin where it is edited; empty for nowhere."""

    title: str
    address: str = ""


class Describer:
    """Tells of rows what Django knows of their models. ``name`` is that of a register: ``title``, ``data/html``.

    ``references``: register -> model whose tokens stand in it, where no foreign key says so. ``form_class``: of the element
    around the form in which another version is written.
    """

    references: Mapping[str, type[models.Model]] = {}
    form_class = ""

    def describe(self, rows: Iterable[Any]) -> dict[str, Description]:
        """Return the descriptions of ``rows``, by token; asked once for all of a model, so ask the database once too."""
        return {row.pk: Description(str(row), _change_address(row)) for row in rows}

    def label(self, model: ModelSpec, name: str, row: Any = None) -> str:
        """Return what the register is called; ``row`` is None where it is not here."""
        field, _, element = name.partition("/")
        spec = model.fields.get(field)
        text = element or (str(spec.field.verbose_name) if spec else name)
        return text[:1].upper() + text[1:].replace("_", " ")

    def form_field(self, field: FieldSpec, element: str | None, row: Any, value: Any) -> forms.Field | None:
        """Return the form field in which another value is written; None where there is nothing but to choose."""
        if element is not None:
            is_plain = isinstance(value, str) or value is None
            return forms.CharField(required=False, strip=False, widget=forms.Textarea) if is_plain else forms.JSONField()
        if isinstance(field.field, models.ForeignKey):
            return None
        return field.field.formfield()

    def after_deciding(self, token: str, name: str | None) -> str:
        """Return what is still to be done once a register of a row was decided, in a sentence; empty for nothing."""
        return ""

    def media(self, form: forms.Form, request: HttpRequest) -> Any:
        """Return what the head of the page needs for ``form``."""
        return form.media

    def may_decide(self, user: Any, model: ModelSpec, name: str | None) -> bool:
        """Whether ``user`` may decide about a register (who may change the row), or let the row be deleted (None).

        A part is changed and deleted by who may change the whole.
        """
        whole = model
        while whole.whole is not None:
            whole = whole.whole
        verbs = ("change", "delete") if name is None and whole is model else ("change",)
        return all(user.has_perm(f"{whole.model._meta.app_label}.{verb}_{whole.model._meta.model_name}") for verb in verbs)


_describers: dict[str, Describer] = {}


def register(label: str, describer: Describer) -> None:
    """Let ``describer`` tell of the rows of the model ``label``."""
    _describers[label] = describer


def describer(label: str) -> Describer:
    """Return who tells of the rows of the model ``label``."""
    return _describers.get(label, _DEFAULT)


def may_decide(user: Any, label: str, name: str | None) -> bool:
    """Whether ``user`` may decide about a register of a model, or about the life of its rows."""
    model = spec_of(label)
    return model is not None and describer(label).may_decide(user, model, name)


def _change_address(row: models.Model) -> str:
    if type(row) not in admin.site._registry:
        return ""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""


_DEFAULT = Describer()

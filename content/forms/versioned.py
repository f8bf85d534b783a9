"""The form of a replicated row: it carries the versions that it was loaded with, and is one session however often it is sent."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model

from content.forms.stale import WITHOUT, CarriesLoadedValues
from sync.versions import Versions, is_known, row_key

ROW = "row"  # how a form calls the row that it makes


class CarriedField(forms.CharField):
    """What the form carries about itself: sent back untouched, or counted up by the scripts; never a change of the row."""

    widget = forms.HiddenInput(attrs={"autocomplete": "off"})  # or browsers put an old value into a new form

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False

    def clean(self, value: Any) -> str:
        return str(value or "")  # whatever came: it is read elsewhere, and no mistake of the editor's


def carried(data: Any) -> Versions | None:
    """Return the versions that a form was sent with; None where they were not made here."""
    return Versions.unpack(data.get("versions"), data.get("saves"))


class VersionedForm(CarriesLoadedValues):
    """Base of the forms of rows. ``shown``: the versions that came with the form, or those that the row was read with.

    ``about``: field of the form -> field of the model, where they bear other names.
    """

    about: ClassVar[dict[str, str]] = {}

    versions = CarriedField()
    saves = CarriedField(initial="1")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new:
            self.carry()
        self.shown: Versions | None = carried(self.data) if self.is_bound else self._present()
        self.initial["versions"] = self.shown.pack() if self.shown else ""
        if self.is_bound and self.shown:
            token = self.shown.token_for(ROW)
            self.instance.pk = token if self.is_new else self.instance.pk

    def _present(self) -> Versions | None:
        return Versions.read([]) if self.is_new else self.instance.__dict__.get("_versions")

    @property
    def is_new(self) -> bool:
        """Whether the row is not stored yet."""
        return self.instance._state.adding

    def clean(self) -> dict[str, Any]:
        """Refuse to make the row of this form a second time."""
        is_resent = self.is_new and self.shown is not None and self.shown.is_resent
        if is_resent and is_known(row_key(type(self.instance), self.instance.pk)):
            raise ValidationError("This was saved before and deleted since. Copy what you need of it into a new form.")
        return super().clean() or {}

    def column(self, name: str) -> str | None:
        """Return the attribute name of the model's field that the form's field ``name`` is about; None for none."""
        try:
            return str(getattr(self.instance._meta.get_field(self.about.get(name, name)), "attname", name))
        except FieldDoesNotExist:
            return None

    def admit_what_was_seen(self) -> None:
        """Tell the instance what its author had before him. Called before the row is saved."""
        for name, value in self.overtaken().items():
            self.instance.see(self.column(name), self.stored_value(name, value))
        if self.shown:
            names = [name for name in self.fields if name not in WITHOUT]
            self.shown.see(self.instance, [column for name in names if (column := self.column(name))])

    def stored_value(self, name: str, value: Any) -> Any:
        """Return ``value`` of the form's field ``name`` as the instance has it."""
        return value.pk if isinstance(value, Model) else value

    def stored_fields(self) -> list[str]:
        """Return the names of the model's fields that were changed here, and are not stored so already."""
        differing = set(self.instance.changed_fields())
        changed = [name for name in self.changed_data if self.column(name) in differing]
        return list(dict.fromkeys(self.about.get(name, name) for name in changed))

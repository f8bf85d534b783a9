"""A form may be older than the row it writes to: only what was changed in the form itself counts as changed.

Each field of a stored row carries the value that it was loaded with. What another tab, another editor or another replica
changed meanwhile stays, unless the same field was changed here too.
"""

from __future__ import annotations

from typing import Any

from django import forms

WITHOUT = ("token", "DELETE", "renew_slug")


class CarriesLoadedValues(forms.ModelForm):
    """Mixin of the forms of stored rows; call ``carry`` when the fields and their initial values are complete."""

    def carry(self) -> None:
        """Make every field send back the value that it was loaded with."""
        for name, field in self.fields.items():
            field.show_hidden_initial = name not in WITHOUT and not isinstance(field, forms.FileField)

    def overtaken(self) -> list[str]:
        """Return the labels of the fields that were changed here, and meanwhile elsewhere to something else."""
        return [str(self[name].label) for name in self.changed_data if self._differs_from_loaded(name)]

    def _differs_from_loaded(self, name: str) -> bool:
        bound: Any = self[name]
        if not bound.field.show_hidden_initial or name == "ordering" or bound.html_initial_name not in self.data:
            return False
        now, ours = bound.initial, bound.data
        loaded = self.data[bound.html_initial_name]
        return bool(bound.field.has_changed(now, loaded) and bound.field.has_changed(now, ours))

"""A form may be older than the row it writes to: only what was changed in the form itself counts as changed.

Each field of a stored row carries the value that it was loaded with. What another tab, another editor or another replica
changed meanwhile stays. Where the same field was changed here too, the save tells the replication what its author had seen, so
that both versions are kept as siblings, just as if the two had written on replicas that knew nothing of each other.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

WITHOUT = ("token", "DELETE", "renew_slug", "versions", "saves")
MERGED = ("tags",)  # a set: what both added is there, what either took away is gone


class CarriesLoadedValues(forms.ModelForm):
    """Mixin of the forms of stored rows; call ``carry`` when the fields and their initial values are complete."""

    def carry(self) -> None:
        """Make every field send back the value that it was loaded with."""
        for name, field in self.fields.items():
            field.show_hidden_initial = name not in WITHOUT and not isinstance(field, forms.FileField)

    def overtaken(self) -> dict[str, Any]:
        """Return the fields that were changed here, and meanwhile elsewhere to something else: name -> value when loaded."""
        names = [name for name in self.changed_data if self._differs_from_loaded(name)]
        return {name: self._loaded(name) for name in names}

    def _loaded(self, name: str) -> Any:
        """Return the value that the field was loaded with; None for what nobody can have been shown."""
        bound: Any = self[name]
        try:
            return bound.field.to_python(self.data[bound.html_initial_name])
        except ValidationError:
            return None

    def _differs_from_loaded(self, name: str) -> bool:
        bound: Any = self[name]
        if not bound.field.show_hidden_initial or name == "ordering" or bound.html_initial_name not in self.data:
            return False
        now, ours = bound.initial, bound.data
        loaded = self.data[bound.html_initial_name]
        return bool(bound.field.has_changed(now, loaded) and bound.field.has_changed(now, ours))

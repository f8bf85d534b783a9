"""Widgets that work as plain inputs and are dressed by the scripts of ``static/content/editor``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from content.models import Asset


class Chips(forms.TextInput):
    """A text with commas, shown as chips."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"data-chips": "", "placeholder": "separated by commas", **(attrs or {})})


class TableGrid(forms.Textarea):
    """Rows as JSON, shown as a grid of cells."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"data-grid": "", "rows": 4, **(attrs or {})})


class AssetChooser(forms.HiddenInput):
    """The token of an asset, shown as its picture with a button that opens the chooser.

    ``assets`` (token -> Asset) is given by the form, so that thirty pictures cost one query.
    """

    template_name = "content/editor/asset_chooser.html"
    input_type = "hidden"
    assets: Mapping[str, Asset] = {}

    @property
    def is_hidden(self) -> bool:
        return False  # or the admin would hide the row

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["asset"] = self.assets.get(str(value or ""))
        context["missing"] = bool(value) and context["asset"] is None
        return context

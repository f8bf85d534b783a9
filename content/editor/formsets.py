"""The formsets of blocks, one for each type, which share one reading of the database."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet

from content.editor.loaded import loaded
from content.forms.blocks import BlockForm
from content.models import Block


class KnownBlock(forms.CharField):
    """The token of the block that a form belongs to; checked without asking the database for each of them."""

    widget = forms.HiddenInput

    def __init__(self, token: str) -> None:
        super().__init__(required=False, initial=token)
        self.token = token

    def clean(self, value: Any) -> str:
        if (value or "") != self.token:
            raise ValidationError("This block was deleted elsewhere. Copy what you need of it, then delete it here too.")
        return self.token


class BlockFormSet(BaseInlineFormSet):
    """The blocks of one type on one page."""

    @classmethod
    def get_default_prefix(cls) -> str:
        """Fields are named after the type: ``richtext-0-html``."""
        return str(cls.model.kind)

    def get_queryset(self) -> list[Block]:
        """Return this type's blocks of the page; a list, since all types are read at once."""
        if not hasattr(self, "_blocks"):
            self._blocks = [block for block in loaded(self.instance).blocks if block.type == self.model.kind]
        return self._blocks

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["token"] = KnownBlock("" if form.is_new else form.instance.token)
        if not form.is_new:
            form.initial["ordering"] = loaded(self.instance).positions.get(form.instance.token)
        if "asset" in form.fields:
            form.fields["asset"].widget.assets = loaded(self.instance).assets

    def clean(self) -> None:
        """Check that newly chosen pictures are here, all of them by one query."""
        super().clean()
        chosen = [form for form in self.live_forms() if "asset" in form.changed_data]
        tokens = {form.cleaned_data.get("asset") or "" for form in chosen if hasattr(form, "cleaned_data")}
        known = loaded(self.instance)
        known.look_up(tokens)
        for form in chosen:
            token = getattr(form, "cleaned_data", {}).get("asset")
            if token and token not in known.assets:
                form.add_error("asset", "This picture is gone. Choose another one.")

    def live_forms(self) -> list[BlockForm]:
        """Return the forms of blocks that stay or come."""
        forms_ = [form for form in self.forms if not (self.can_delete and self._should_delete_form(form))]
        return [form for form in forms_ if not form.is_new or form.filled_in]

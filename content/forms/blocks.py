"""One plain form for each type of block. A form reads ``Block.data`` and gives back what a person changed of it."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import cached_property

from content import uploads
from content.blocks import TONES, TYPES
from content.forms.fields import BRIEF, LISTS, LineField, PictureField, ProseField, RowsField, TextField
from content.forms.stale import CarriesLoadedValues
from content.forms.widgets import AssetChooser
from content.models import Block
from sync.versions import Versions


class BlockForm(CarriesLoadedValues):
    """Base of the forms; ``kind`` is a key of ``content.blocks.TYPES``, whose keys are fields here by the same names.

    The instance is never altered: ``data_to_store`` gives what is to be written.
    """

    kind: ClassVar[str] = ""
    required_css_class = "required"

    region = forms.CharField(max_length=40, initial="main", widget=forms.HiddenInput)
    ordering = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Block
        fields: ClassVar[list[str]] = ["region", "ordering"]

    is_resent = False  # a new block of a form that was sent before, and stored then

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.pop("ordering", None)
        if self.is_new:
            self.initial["region"] = "main"
        else:
            self.initial.update({key: self.instance.data.get(key) for key in self.data_keys})
            self.carry()

    @property
    def is_new(self) -> bool:
        """Whether the block is not stored yet."""
        return self.instance._state.adding

    @property
    def media(self) -> forms.Media:
        """Scripts and styles, the same for all blocks of a type."""
        return media_of(self.kind)

    @property
    def is_stored(self) -> bool:
        """Whether the block was stored when this form was opened."""
        return not (self.is_new or self.is_resent)

    @property
    def written(self) -> list[str]:
        """The names of the fields that people write in."""
        return [name for name, field in self.fields.items() if name != "DELETE" and not field.widget.is_hidden]

    @property
    def data_keys(self) -> list[str]:
        """The keys of the data that this form shows."""
        return [key for key in TYPES[self.kind].clean if key in self.fields]

    @property
    def filled_in(self) -> bool:
        """Whether anything was written here, wherever the block stands."""
        return bool(set(self.changed_data) - {"region", "ordering", "token"})

    def has_changed(self) -> bool:
        # A new block that nobody filled in is not stored, and need not be valid.
        return self.filled_in if self.is_new else super().has_changed()

    def _post_clean(self) -> None:
        """Leave the instance alone."""

    def data_to_store(self) -> dict[str, Any]:
        """Return the data of the block with the keys that were changed here; keys unknown to this form stay."""
        if self.is_new:
            return {key: self.cleaned_data[key] for key in self.data_keys if self.cleaned_data.get(key) not in (None, "", [])}
        changed = set(self.changed_data)
        return {**self.instance.data, **{key: self.cleaned_data[key] for key in self.data_keys if key in changed}}

    def admit_what_was_seen(self, versions: Versions | None) -> None:
        """Tell which data and which ``versions`` its author had before him. Called before the block is written or deleted."""
        if old := self.overtaken():
            self.instance.see("data", {**self.instance.data, **old})
        if versions:
            versions.see(self.instance, ["data", "region"])

    def settle(self) -> None:
        """Store what the block refers to, before the block itself is."""

    def preview(self) -> Block:
        """Return the block as the form has it, unsaved, with what is not valid left out."""
        data = dict(self.instance.data or {})
        cleaned = getattr(self, "cleaned_data", {})
        data.update({key: cleaned[key] for key in self.data_keys if key in cleaned})
        return Block(token=self.instance.token, type=self.kind, data=data)


class RichTextForm(BlockForm):
    """Formatted text."""

    kind = "richtext"
    html = ProseField(required=False, label="")


class ImageForm(BlockForm):
    """A picture: an asset that is here, or one that is uploaded."""

    kind = "image"
    asset = forms.CharField(required=False, widget=AssetChooser, label="Picture")
    upload = PictureField(required=False, label="Upload a new picture")
    alt = LineField(
        required=False,
        max_length=500,
        label="Alternative text",
        help_text="What the picture shows, for those who do not see it.",
    )
    caption = ProseField(BRIEF, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not (cleaned.get("asset") or cleaned.get("upload")) and "upload" not in self.errors:
            raise ValidationError("Choose a picture or upload one, or delete this block.")
        return cleaned

    def settle(self) -> None:
        if file := self.cleaned_data.get("upload"):
            self.cleaned_data["asset"] = uploads.store(file, alt=self.cleaned_data.get("alt", "")).token

    @cached_property
    def changed_data(self) -> list[str]:
        changed = list(super().changed_data)
        return [*changed, "asset"] if "upload" in changed and "asset" not in changed else changed


class QuoteForm(BlockForm):
    """Words of somebody."""

    kind = "quote"
    html = ProseField(LISTS, required=False, label="Quotation")
    attribution = LineField(required=False, help_text="Who said it, and where.")


class CodeForm(BlockForm):
    """A piece of a program."""

    kind = "code"
    code = TextField(
        required=False, strip=False, widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "code"})
    )
    language = LineField(required=False, max_length=40, help_text="python, html, sql …")


class TableForm(BlockForm):
    """Rows and columns of text."""

    kind = "table"
    rows = RowsField(required=False, label="")
    header = forms.BooleanField(required=False, initial=True, label="The first row is a header")
    caption = LineField(required=False)


class EmbedForm(BlockForm):
    """Something of another site."""

    kind = "embed"
    url = LineField(label="Address", help_text="Starts with https://", widget=forms.URLInput)
    title = LineField(required=False, help_text="What it is, for those who do not see it.")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if not url.startswith("https://") or len(url.split()) != 1:
            raise ValidationError("Only addresses that start with https:// are embedded. Give such an address.")
        return url


class CalloutForm(BlockForm):
    """A note, a tip or a warning."""

    kind = "callout"
    html = ProseField(LISTS, required=False, label="Text")
    tone = forms.ChoiceField(choices=[(tone, tone.capitalize()) for tone in TONES], initial=TONES[0])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("tone") not in TONES:
            self.initial["tone"] = TONES[0]


FORMS: dict[str, type[BlockForm]] = {
    form.kind: form for form in (RichTextForm, ImageForm, QuoteForm, CodeForm, TableForm, EmbedForm, CalloutForm)
}


@cache
def media_of(kind: str) -> forms.Media:
    """Return the scripts and styles of the form of a type of block."""
    return sum((field.widget.media for field in FORMS[kind].base_fields.values()), forms.Media())

"""The form of a page without its blocks."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import cached_property

from content import uploads
from content.editor.loaded import loaded
from content.forms.fields import LineField, ListField, MinuteField, PictureField, TextField
from content.forms.versioned import VersionedForm
from content.forms.widgets import AssetChooser
from content.models import Page


class PageForm(VersionedForm):
    """Title, section, summary and the rest. ``stored_fields`` names what a save has to write."""

    required_css_class = "required"
    about: ClassVar[dict[str, str]] = {"picture": "image", "picture_upload": "image", "renew_slug": "slug"}

    title = LineField(max_length=200, widget=forms.Textarea(attrs={"placeholder": "Title", "rows": 1}))
    summary = TextField(required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One or two sentences for lists.")
    tags = ListField(sort=True, required=False)
    authors = ListField(required=False)
    date = MinuteField(initial=timezone.now, help_text="Shown to readers; lists are sorted by it. UTC.")
    picture = forms.CharField(required=False, widget=AssetChooser, label="Lead image")
    picture_upload = PictureField(required=False, label="Upload a new lead image")
    seo_title = LineField(required=False, max_length=200, label="Title for search engines")
    seo_description = TextField(
        required=False, max_length=320, widget=forms.Textarea(attrs={"rows": 2}), label="Description for search engines"
    )
    renew_slug = forms.BooleanField(
        required=False, label="New address from the title", help_text="The former address goes on to lead here."
    )

    class Meta:
        model = Page
        fields: ClassVar[list[str]] = [
            "title", "summary", "section", "tags", "authors", "date", "seo_title", "seo_description", "hidden_from_search",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The lead image is a reference that may lead to what is not here yet, so it is no choice among rows.
        self.initial["picture"] = self.instance.image_id or ""
        known = loaded(self.instance)
        self.fields["picture"].widget.assets = known.assets
        known.versions = self.shown
        if self.is_new and "renew_slug" in self.fields:
            del self.fields["renew_slug"]

    @cached_property
    def changed_data(self) -> list[str]:
        changed = list(super().changed_data)
        return [*changed, "picture"] if "picture_upload" in changed and "picture" not in changed else changed

    def clean_picture(self) -> str:
        token: str = self.cleaned_data["picture"]
        known = loaded(self.instance)
        known.look_up({token})
        if token and token not in known.assets and token != self.instance.image_id:
            raise ValidationError("This picture is gone. Choose another one.")
        return token

    def settle(self) -> None:
        """Store an uploaded picture and put the page's picture and address in place. Called before the page is saved."""
        if file := self.cleaned_data.get("picture_upload"):
            self.instance.image_id = uploads.store(file).token
        elif "picture" in self.changed_data:
            self.instance.image_id = self.cleaned_data["picture"] or None
        if self.cleaned_data.get("renew_slug"):
            self.instance.renew_slug()

    def stored_value(self, name: str, value: Any) -> Any:
        return (value or None) if name == "picture" else super().stored_value(name, value)

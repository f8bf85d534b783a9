"""Form fields that count as changed only when a person changed them.

Browsers rewrite line ends and drop those of one-line inputs; what a form sends back untouched must not become a write that
travels to every replica.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django_prose_editor.fields import ProseEditorFormField
from django_prose_editor.widgets import AdminProseEditorWidget

from content import uploads
from content.blocks import clean_html, text_of
from content.forms import widgets

FULL = {
    "Bold": True, "Italic": True, "Strike": True, "Underline": True, "Subscript": True, "Superscript": True, "Code": True,
    "Heading": {"levels": [2, 3, 4]}, "BulletList": True, "OrderedList": True, "ListItem": True, "Blockquote": True,
    "CodeBlock": True, "HorizontalRule": True, "HardBreak": True,
    "Link": {"enableTarget": False},
}  # fmt: skip
BRIEF = {key: FULL[key] for key in ("Bold", "Italic", "Strike", "Code", "HardBreak", "Link")}
LISTS = {**BRIEF, **{key: FULL[key] for key in ("BulletList", "OrderedList", "ListItem")}}


def unix(text: Any) -> str:
    """Return ``text`` with line ends as they are stored."""
    return str(text or "").replace("\r\n", "\n").replace("\r", "\n")


class TextField(forms.CharField):
    """Text of several lines."""

    widget = forms.Textarea(attrs={"rows": 3})

    def to_python(self, value: Any) -> str:
        return super().to_python(unix(value)) or ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        ends = None if self.strip else "\n"
        return unix(initial).strip(ends) != unix(data).strip(ends)


class LineField(forms.CharField):
    """Text of one line."""

    def to_python(self, value: Any) -> str:
        return super().to_python(unix(value).replace("\n", " ")) or ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return " ".join(unix(initial).split()) != " ".join(unix(data).split())


class ProseField(ProseEditorFormField):
    """Formatted text: HTML, cleaned as ``content.blocks`` says, empty when there is nothing to see."""

    def __init__(self, extensions: dict[str, Any] | None = None, **kwargs: Any) -> None:
        config = {"extensions": extensions or FULL}
        super().__init__(config=config, sanitize=tidy, widget=AdminProseEditorWidget, **kwargs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return visible(unix(initial)) != visible(unix(data))


def visible(markup: str) -> str:
    """Return ``markup``, or nothing where it shows nothing, such as an empty paragraph."""
    return markup.strip() if text_of(markup) or "<hr" in markup else ""


def tidy(markup: str) -> str:
    """Return ``markup`` as it is stored."""
    return visible(clean_html(unix(markup)))


class ListField(forms.CharField):
    """Short texts, separated by commas; ``sort`` makes a sorted list without repetitions."""

    widget = widgets.Chips

    def __init__(self, *, sort: bool = False, **kwargs: Any) -> None:
        self.sort = sort
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        texts = [" ".join(text.split()) for text in str(value or "").split(",")]
        unique = list(dict.fromkeys(text for text in texts if text))
        return sorted(unique) if self.sort else unique

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        for text in value:
            super().run_validators(text)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)


class MinuteField(forms.DateTimeField):
    """A time to the minute; seconds that the form does not show are no change."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def has_changed(self, initial: Any, data: Any) -> bool:
        shown = self.widget.format_value(self.prepare_value(initial))
        return str(data or "")[:16] != str(shown or "")[:16]


class RowsField(forms.CharField):
    """The rows of a table: a list of lists of text, all equally long, without empty rows at the end."""

    widget = widgets.TableGrid

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value or [], ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        try:
            rows = json.loads(value or "[]")
            texts = [[unix(cell).strip() for cell in row] for row in rows if isinstance(row, list)]
        except (TypeError, ValueError):
            raise ValidationError("The table was not understood. Give a list of rows, each a list of texts.") from None
        while texts and not any(texts[-1]):
            texts.pop()
        width = max((len(row) for row in texts), default=0)
        return [row + [""] * (width - len(row)) for row in texts]

    def validate(self, value: Any) -> None:
        """An empty table may be saved."""

    def run_validators(self, value: Any) -> None:
        """The validators of a text do not fit rows."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except ValidationError:
            return True


class PictureField(forms.FileField):
    """A picture to upload, checked by its content."""

    widget = forms.FileInput(attrs={"accept": uploads.ACCEPTED})

    def clean(self, data: Any, initial: Any = None) -> UploadedFile | None:
        file = super().clean(data, initial)
        if file and not uploads.check(file).is_picture:
            raise ValidationError(uploads.NO_PICTURE)
        return file or None

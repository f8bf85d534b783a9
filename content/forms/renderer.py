"""Renders the commonest inputs of forms without templates: the form of a page has hundreds of them.

Django asks a template for each input, label and list of errors, and includes another one for its attributes; that was most of
the time in which a page was opened in the editor. Here the same markup is put together directly. What is not here, or is of a
kind that a template would show by the rules of a language, is left to Django's templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.forms.renderers import DjangoTemplates
from django.utils.html import conditional_escape

Context = Mapping[str, Any]

INPUTS = ("checkbox", "date", "datetime", "email", "file", "hidden", "input", "number", "password", "text", "time", "url")


class PlainRenderer(DjangoTemplates):
    """Django's own renderer, but for the templates in ``PLAIN``. To be named in ``FORM_RENDERER``."""

    def render(self, template_name: str, context: Any, request: Any = None) -> str:
        """Return the markup of a widget, a label or a list of errors."""
        plain = PLAIN.get(template_name)
        markup = plain(context) if plain else None
        return super().render(template_name, context, request) if markup is None else markup


def attributes(found: Mapping[str, Any] | None) -> str:
    """Return attributes as they stand in a tag. True stands for one without a value, False for none."""
    pairs = [(name, value) for name, value in (found or {}).items() if value is not False]
    return "".join(f" {name}" if value is True else f' {name}="{_text(value)}"' for name, value in pairs)


def _text(value: Any) -> str:
    """Return ``value`` escaped, as the filter ``stringformat:'s'`` gives it to a template."""
    return conditional_escape(value if isinstance(value, str) else str(value))


def _input(context: Context) -> str | None:
    widget = context["widget"]
    value = "" if widget["value"] is None else f' value="{_text(widget["value"])}"'
    return f'<input type="{widget["type"]}" name="{_text(widget["name"])}"{value}{attributes(widget["attrs"])}>'


def _textarea(context: Context) -> str | None:
    widget = context["widget"]
    value = widget["value"] or ""
    if not isinstance(value, str):
        return None
    return f'<textarea name="{_text(widget["name"])}"{attributes(widget["attrs"])}>\n{_text(value)}</textarea>'


def _label(context: Context) -> str | None:
    if not context["use_tag"]:
        return None
    tag = context["tag"]
    return f"<{tag}{attributes(context['attrs'])}>{_text(context['label'])}</{tag}>"


def _errors(context: Context) -> str | None:
    return None if context["errors"] else ""


PLAIN: dict[str, Callable[[Context], str | None]] = {
    **{f"django/forms/widgets/{name}.html": _input for name in INPUTS},
    "django/forms/widgets/textarea.html": _textarea,
    "django/forms/label.html": _label,
    "django/forms/errors/list/default.html": _errors,
    "django/forms/errors/list/ul.html": _errors,
}

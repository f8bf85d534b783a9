"""What answers a form whose row was deleted while somebody wrote: all that was typed, and the way to make a new row of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, NamedTuple

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import strip_tags

from content.admin.conflicts import NAMES
from content.forms.blocks import FORMS
from content.forms.widgets import AssetChooser
from sync.core.text import differences
from sync.versions import Versions

OF_A_BLOCK = re.compile(r"(?P<kind>[a-z]+)-(?P<number>[0-9]{1,6})-(?P<name>\w+)", re.ASCII)
OF_THE_OLD_ROW = re.compile(r"csrfmiddlewaretoken|initial-.*|conflict:.*|seen:.*|_.*|versions|saves|renew_slug", re.ASCII)
CHOSEN = (forms.ModelChoiceField, forms.BooleanField, forms.FileField)  # fields in which nobody types


class Typed(NamedTuple):
    """A text that somebody typed, and what its field is called."""

    label: str
    text: str


def gone(request: HttpRequest, admin: Any) -> HttpResponse:
    """Answer a form of ``admin`` that was sent for a row that is no more, with status 410. Nothing is written."""
    label = f"{admin.opts.app_label}_{admin.opts.model_name}"
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": f"This {admin.opts.verbose_name} was deleted meanwhile",
        "typed": list(typed(request.POST, admin.get_form(request).base_fields)),
        "files": [getattr(file, "name", "") for file in request.FILES.values()],
        "fields": list(as_new(request.POST)) if admin.has_add_permission(request) else [],
        "list_address": reverse(f"admin:{label}_changelist"),
        "add_address": reverse(f"admin:{label}_add"),
    }
    return TemplateResponse(request, "admin/content/gone.html", context, status=410)


def as_new(data: QueryDict) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form for a new row that says what ``data`` says: a session of its own, all blocks new."""
    yield "versions", Versions.read([]).pack()
    yield "saves", "1"
    for name, values in data.lists():
        part = OF_A_BLOCK.fullmatch(name)
        if OF_THE_OLD_ROW.fullmatch(name) or (part and part["name"] == "parent"):
            continue
        for value in values:
            is_key = part is not None and part["name"] == "token" and not value.startswith("+")
            yield name, "0" if name.endswith("-INITIAL_FORMS") else "" if is_key else value


def typed(data: Mapping[str, str], fields: Mapping[str, forms.Field]) -> Iterator[Typed]:
    """Yield what stands in the fields of the row, then in those of its blocks, in their order; no markup."""
    yield from _texts(data, "", "", fields)
    found = {(part["kind"], part["number"]) for name in data if (part := OF_A_BLOCK.fullmatch(name)) and part["kind"] in FORMS}
    for kind, number in sorted(found, key=lambda block: _position(data, *block)):
        prefix = f"{kind}-{number}-"
        if f"{prefix}DELETE" not in data:
            yield from _texts(data, prefix, NAMES[kind], FORMS[kind].base_fields)


def _position(data: Mapping[str, str], kind: str, number: str) -> tuple[int, str, int]:
    place = data.get(f"{kind}-{number}-ordering", "")
    return (int(place) if place.isascii() and place.isdigit() and len(place) < 10 else 10**10, kind, int(number))


def _texts(data: Mapping[str, str], prefix: str, kind: str, fields: Mapping[str, forms.Field]) -> Iterator[Typed]:
    for name, field in fields.items():
        text = data.get(f"{prefix}{name}", "")
        is_chosen = isinstance(field, CHOSEN) or isinstance(field.widget, AssetChooser) or field.widget.is_hidden
        if is_chosen or not text.strip() or "password" in name:
            continue
        label = str(field.label or ("" if kind else name.replace("_", " ").capitalize()))
        yield Typed(": ".join(filter(None, (kind, label))), _readable(text) if name in ("html", "caption") else text)


def _readable(html: str) -> str:
    """Return the words of ``html``, paragraph by paragraph."""
    paragraphs = ("".join(part.text for part in paragraph) for paragraph in differences(html, html, True))
    return "\n\n".join(paragraphs) or unescape(strip_tags(html))

"""How conflicts tell of pages and blocks: by the names that the editor gives them, with the editor's own fields to write in."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from js_asset import Media

from content.admin.addresses import editor_address
from content.forms.blocks import FORMS
from content.forms.fields import RowsField
from content.forms.page import PageForm
from content.forms.widgets import AssetChooser
from content.models import KINDS, Asset, Block, Page
from content.permissions import PUBLISH
from sync import describing
from sync.describing import Describer, Description
from sync.registry import FieldSpec, ModelSpec

NAMES = {kind.kind: str(kind._meta.verbose_name).capitalize() for kind in KINDS}
UNSEEN = "Readers see it when the page is published."
BESIDE = {"html": "Text", "asset": "Picture", "rows": "Table"}  # of keys whose form field needs no label


class WithOurFields(Describer):
    """Describers that offer fields of our forms."""

    form_class = "page-editor"

    def field_of(self, name: str, row: Any) -> Any:
        """Return the field of the editor's form that a register is written in; None where there is none."""
        raise NotImplementedError

    def label(self, model: ModelSpec, name: str, row: Any = None) -> str:
        """The label that the editor's form has."""
        field = self.field_of(name, row)
        return str(field.label) if field is not None and field.label else super().label(model, name, row)

    def form_field(self, field: FieldSpec, element: str | None, row: Any, value: Any) -> forms.Field | None:
        """The field of the editor's form, but for pictures and tables, which take the editor itself."""
        name = field.name if element is None else f"{field.name}/{element}"
        found = self.field_of(name, row)
        if found is None or isinstance(found, RowsField) or isinstance(found.widget, AssetChooser):
            return None
        return None if isinstance(field.field, models.ForeignKey) else copy.deepcopy(found)

    def media(self, form: forms.Form, request: HttpRequest) -> SafeString:
        """Scripts and styles of ``form`` with the nonce of the answer, and a style element that keeps others from coming."""
        nonce = getattr(request, "csp_nonce", "")
        ours = form.media + Media(css={"all": ["content/editor/editor.css"]})
        return format_html('<style data-tiptap-style nonce="{}"></style>{}', nonce, Media.from_media(ours, nonce=nonce))


class PageDescriber(WithOurFields):
    """Pages, which are edited at the address of their slug."""

    columns = {"section_id": "section", "image_id": "picture"}
    words = {"publication_id": "What readers see"}  # of registers that no field of the form is about

    def describe(self, rows: Iterable[Page]) -> dict[str, Description]:
        return {page.pk: Description(page.title, editor_address(page)) for page in rows}

    def label(self, model: ModelSpec, name: str, row: Any = None) -> str:
        return self.words.get(name) or super().label(model, name, row)

    def after_deciding(self, token: str, name: str | None) -> str:
        is_draft = name is not None and name != "publication_id"
        return UNSEEN if is_draft and Page.objects.filter(token=token).exclude(publication_id=None).exists() else ""

    def field_of(self, name: str, row: Any) -> Any:
        return PageForm.base_fields.get(self.columns.get(name, name))

    def may_decide(self, user: Any, model: ModelSpec, name: str | None) -> bool:
        return super().may_decide(user, model, name) and (name != "publication_id" or user.has_perm(PUBLISH))


class BlockDescriber(WithOurFields):
    """Blocks, which are edited with their page."""

    references = {"data/asset": Asset}

    def describe(self, rows: Iterable[Block]) -> dict[str, Description]:
        blocks = list(rows)
        pages = Page.objects.in_bulk({block.parent_id for block in blocks})
        return {block.pk: self._told(block, pages) for block in blocks}

    def _told(self, block: Block, pages: Mapping[str, Page]) -> Description:
        page = pages.get(block.parent_id)
        title = f"{NAMES.get(block.type, block.type)} in {page.title}" if page else str(block)
        return Description(title, editor_address(page) if page else "")

    def after_deciding(self, token: str, name: str | None) -> str:
        published = Page.objects.filter(blocks__token=token).exclude(publication_id=None)
        return UNSEEN if name is not None and published.exists() else ""

    def field_of(self, name: str, row: Any) -> Any:
        form = FORMS.get(getattr(row, "type", ""))
        return form.base_fields.get(name.removeprefix("data/")) if form else None

    def label(self, model: ModelSpec, name: str, row: Any = None) -> str:
        field, key = self.field_of(name, row), name.removeprefix("data/")
        return BESIDE[key] if key in BESIDE and not getattr(field, "label", "") else super().label(model, name, row)


describing.register("content.page", PageDescriber())
describing.register("content.block", BlockDescriber())

"""The inlines of the content editor, one for each type of block."""

from __future__ import annotations

from typing import Any

from content_editor.admin import ContentEditorInline
from django.http import HttpRequest

from content.editor.formsets import BlockFormSet
from content.forms.blocks import FORMS, BlockForm
from content.models import KINDS, Page

ICONS = {
    "richtext": "notes", "image": "image", "quote": "format_quote", "code": "code", "table": "table_chart",
    "embed": "smart_display", "callout": "lightbulb",
}  # fmt: skip


class BlockInline(ContentEditorInline):
    """Blocks are part of their page: who may change the page may change them."""

    formset = BlockFormSet
    template = "admin/content/page/blocks.html"
    view_on_site = False

    def has_view_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:
        return self._may_write(request)  # who may only look at the page is shown it without its blocks

    def has_add_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:
        return self._may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:
        return self._may_write(request)

    def has_delete_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:
        return self._may_write(request)

    def _may_write(self, request: HttpRequest) -> bool:
        return request.user.has_perm("content.change_page") or request.user.has_perm("content.add_page")


def _inline(kind: Any) -> type[BlockInline]:
    form: type[BlockForm] = FORMS[kind.kind]
    own = [name for name in form.base_fields if name not in ("region", "ordering")]
    return BlockInline.create(kind, form=form, fields=[*own, "region", "ordering"], icon=ICONS[kind.kind])


INLINES = [_inline(kind) for kind in KINDS]

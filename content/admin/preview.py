"""The preview: the page as readers would see it, from a form that nobody has saved."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from content.editor.absent import follow
from content.editor.formsets import BlockFormSet
from content.editor.saving import in_form_order
from content.models import Page
from content.publishing import snapshot
from content.rendering import render_page


class Previews:
    """Gives a ModelAdmin of pages ``preview_view``, which never writes."""

    def preview_view(self: Any, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """Render the page that is stored (GET), or the one in the form (POST). Answers 404 for no page."""
        page = self.get_object(request, object_id) if object_id else Page()
        if page is None:
            raise Http404("There is no such page. Go back to the list of pages.")
        if not (self.has_view_or_change_permission(request, page) if object_id else self.has_add_permission(request)):
            raise PermissionDenied
        is_form = request.method == "POST" and self.may_write(request, None if page._state.adding else page)
        data = self._unsaved(request, page) if is_form else snapshot(page, None if object_id else [])
        section = follow(page, "section") if page.section_id else None
        html = render_page(data, address=request.path, request=request, preview=True, section=section, date=page.date)
        response = HttpResponse(html)
        response["Cache-Control"] = "no-store"
        return response

    def _unsaved(self: Any, request: HttpRequest, page: Page) -> dict[str, Any]:
        adding = page._state.adding
        form = self.get_form(request, None if adding else page, change=not adding)(request.POST, instance=page)
        form.is_valid()  # puts into ``page`` whatever is valid
        page.image_id = form.cleaned_data.get("picture") or None
        formsets, _ = self._create_formsets(request, page, change=not adding)
        blocks = [formset for formset in formsets if isinstance(formset, BlockFormSet)]
        for formset in blocks:
            formset.is_valid()
        return snapshot(page, [block_form.preview() for block_form in in_form_order(blocks)])

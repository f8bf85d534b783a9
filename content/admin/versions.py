"""What the admin of a replicated model shares: its forms carry the versions of the row, and a deletion is of what was shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from content.admin.gone import gone
from content.forms.versioned import ROW, VersionedForm, carried
from sync import conflicts, local
from sync.inbox.admin import address_of
from sync.inbox.presenting import Card, cards
from sync.versions import Versions, row_key

CHANGED = "This was changed while the question was open. Look at it again before you delete it."


class CarriesVersions:
    """Mixin of a ModelAdmin whose ``form`` is a VersionedForm."""

    def versions_of(self: Any, token: str, all_shown: bool = False) -> Versions:
        """Return the versions of all that the form of the row ``token`` shows; ``all_shown``: what the question to delete it names."""
        return Versions.read([row_key(self.model, token)], all_shown)

    def get_object(self: Any, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if request.method != "GET":
            return super().get_object(request, object_id, from_field)  # type: ignore[misc]
        rows = request.__dict__.setdefault("_rows", {})
        if object_id not in rows:
            # The versions are read before the row: what comes between the two is shown, and counts as not seen.
            versions = self.versions_of(object_id)
            rows[object_id] = row = super().get_object(request, object_id, from_field)  # type: ignore[misc]
            if row is not None:
                row.__dict__["_versions"] = versions
        return rows[object_id]

    def _changeform_view(
        self: Any, request: HttpRequest, object_id: str | None, form_url: str, extra_context: Any
    ) -> HttpResponse:
        if request.method == "POST":
            local.take_turn()  # two saves of one form, sent at once, follow each other
            object_id = object_id or self._stored_before(request)
        return super()._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]

    def _get_obj_does_not_exist_redirect(self: Any, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Keep what was typed into a form whose row is gone; a question whether to delete it has nothing to keep."""
        if request.method == "POST" and "post" not in request.POST:
            return gone(request, self)
        return super()._get_obj_does_not_exist_redirect(request, opts, object_id)  # type: ignore[misc]

    def _stored_before(self: Any, request: HttpRequest) -> str | None:
        """Return the key of the row that this very form for a new row has made already, when it was sent before."""
        shown = carried(request.POST)
        if shown is None or not shown.is_resent:
            return None
        return self.model.objects.filter(token=shown.token_for(ROW)).values_list("token", flat=True).first()

    def render_change_form(self: Any, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Name the fields that have several versions, with the way to where they are decided."""
        row = kwargs.get("obj")
        if row is not None and "notices" not in context:
            context["conflicts"] = _asked([row_key(type(row), row.pk)], request)
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]

    def get_changelist_form(self: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The rows of an editable list carry the values that they were loaded with."""
        return super().get_changelist_form(request, **{"form": VersionedForm, **kwargs})  # type: ignore[misc]

    def save_model(self: Any, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write what was changed in the form."""
        fields = form.stored_fields() if change else None
        form.admit_what_was_seen()
        if not change:
            obj.save(force_insert=True)
        elif fields:
            obj.save(update_fields=fields)

    def render_delete_form(self: Any, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """Ask whether to delete; the question carries what it is about, and names what has several versions."""
        shown: Versions | None = context.pop("shown", None)
        told = {"versions": shown.pack(), "conflicts": _asked(shown.rows, request)} if shown else {}
        return super().render_delete_form(request, {**context, **told})  # type: ignore[misc]

    def _delete_view(self: Any, request: HttpRequest, object_id: str, extra_context: Any) -> HttpResponse:
        if request.method != "POST":  # read before the row: what comes between the two counts as not seen
            extra_context = {**(extra_context or {}), "shown": self.versions_of(object_id, all_shown=True)}
        elif (shown := carried(request.POST)) is not None:
            local.take_turn()
            if shown.is_overtaken_by(self.versions_of(object_id, all_shown=True)):
                self.message_user(request, CHANGED, messages.WARNING)
                return HttpResponseRedirect(request.path)
        return super()._delete_view(request, object_id, extra_context)  # type: ignore[misc]


def _asked(rows: Iterable[tuple[str, str]], request: HttpRequest) -> list[tuple[Card, str]]:
    """Return the conflicts of ``rows``, each with the address where it is decided."""
    found = cards(conflicts.of_rows(rows), request.user)
    return [(card, address_of(card.conflict.model, card.conflict.token, card.conflict.field, request.path)) for card in found]

"""The views of the inbox, for ``sync.admin``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme

from sync import conflicts, resolving
from sync.admin_pages import PagesAdmin
from sync.conflicts import Conflict, Version
from sync.core.errors import StaleError
from sync.decisions import Decision, decisions, undo
from sync.describing import ANYTHING, describer, may_decide
from sync.inbox.presenting import Card, cards, side_of
from sync.models import Register
from sync.registers import RowKey
from sync.registry import all_specs, spec_of
from sync.resolving import field_of

PAGE_SIZE = 20
LATEST = 30  # decisions that are offered to be taken back
STALE = "Somebody has changed this meanwhile; nothing was written. This is how it stands now."
DECIDED = "Somebody has decided this meanwhile; nothing was written."
REOPENED = "Taken back: the conflict is open again. Its versions bear your name now, who reopened it."


def address_of(model: str, token: str, field: str | None, back: str = "") -> str:
    """Return where a conflict is decided; ``back``: where to go afterwards."""
    query = QueryDict(mutable=True)
    query.update({key: value for key, value in (("field", field), ("next", back)) if value})
    address = reverse("admin:sync_conflict_decide", args=[model, token])
    return f"{address}?{query.urlencode()}" if query else address


class ConflictAdmin(PagesAdmin):
    """Conflicts, for whoever may change what they are about."""

    # -- who ----------------------------------------------------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user: Any = request.user
        return bool(user.is_active and user.is_staff) and any(may_decide(user, model.label, ANYTHING) for model in all_specs())

    # -- where --------------------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="sync_conflict_changelist"),
            path("decided/", view(self.decided_view), name="sync_conflict_decided"),
            path("<str:model>/<str:token>/", view(self.decide_view), name="sync_conflict_decide"),
        ]

    # -- the list -----------------------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The open conflicts that the user may know of, oldest rows first."""
        number = max(1, int(text)) if (text := request.GET.get("p", "1")).isascii() and text.isdigit() and len(text) < 6 else 1
        start = (number - 1) * PAGE_SIZE
        found = list(islice(self._known_to(request), start, start + PAGE_SIZE + 1))
        return self.show(
            request,
            "conflicts",
            "Conflicts",
            cards=[(card, self._address(card)) for card in cards(found[:PAGE_SIZE], request.user)],
            previous=number - 1,
            next=number + 1 if len(found) > PAGE_SIZE else 0,
            unknown=list(_unknown()),
        )

    def _known_to(self, request: HttpRequest) -> Iterator[Conflict]:
        return (each for each in conflicts.conflicts() if may_decide(request.user, each.model, ANYTHING))

    @staticmethod
    def _address(card: Card) -> str:
        return address_of(card.conflict.model, card.conflict.token, card.conflict.field)

    # -- one of them --------------------------------------------------------------------------------------------------------------

    def decide_view(self, request: HttpRequest, model: str, token: str) -> HttpResponse:
        """Show a conflict with all its sides (GET), or decide it (POST)."""
        field = request.GET.get("field") or None
        if not may_decide(request.user, model, ANYTHING):
            raise PermissionDenied
        found = conflicts.find(model, token, field)
        if request.method == "POST":
            return self._decide(request, model, token, field, found)
        if found is None:
            self.message_user(request, "This is no conflict, or no longer one.", messages.INFO)
            return self._leave(request)
        return self._one(request, found, self._editing(found))

    def _one(self, request: HttpRequest, found: Conflict, form: forms.Form | None) -> HttpResponse:
        [card] = cards([found], request.user)
        title = f"{card.label}: {len(card.sides)} versions" if card.label else "Deleted here, changed there"
        teller = describer(found.model)
        media = teller.media(form, request) if form is not None else ""
        return self.show(request, "conflict", title, card=card, form=form, form_media=media, form_class=teller.form_class)

    def _decide(self, request: HttpRequest, model: str, token: str, field: str | None, found: Conflict | None) -> HttpResponse:
        decision, _, dot = request.POST.get("decision", "").partition(":")
        if not may_decide(request.user, model, None if decision == "delete" else field or ANYTHING):
            raise PermissionDenied
        seen = request.POST.get("seen", "").split()
        form = self._editing(found, request.POST) if found and decision == "write" else None
        if form is not None and not form.is_valid() and found is not None:
            return self._one(request, found, form)
        try:
            _carry_out(decision, model, token, field, dot, seen, form)
        except ValidationError as refused:
            if form is None or found is None:
                raise
            form.add_error("value", refused)
            return self._one(request, found, form)
        except (StaleError, KeyError, ValueError):
            return self._refuse(request, conflicts.find(model, token, field) is not None)
        link = reverse("admin:sync_conflict_decided")
        after = describer(model).after_deciding(token, field)
        text = format_html('Decided. {}{}<a href="{}">Take it back</a>', after, " " if after else "", link)
        self.message_user(request, text, messages.SUCCESS)
        return self._leave(request)

    def _refuse(self, request: HttpRequest, is_open: bool) -> HttpResponse:
        """Say that a decision came too late: show what is left to decide, or go."""
        self.message_user(request, STALE if is_open else DECIDED, messages.WARNING)
        return HttpResponseRedirect(request.get_full_path()) if is_open else self._leave(request)

    def _editing(self, found: Conflict | None, data: Any = None) -> forms.Form | None:
        """Return the form in which another value is written; it begins with what is shown."""
        if found is None or found.kind != "value" or found.field is None or found.shown is None:
            return None
        try:
            spec, element = field_of(RowKey(found.model, found.token), found.field)
        except StaleError:
            return None
        model = spec_of(found.model)
        row = model.model._base_manager.filter(pk=found.token).first() if model else None
        field = describer(found.model).form_field(spec, element, row, found.shown.value)
        if field is None:
            return None
        form = forms.Form(data, initial={"value": found.shown.value if element else _initial(spec, found.shown)})
        form.fields["value"] = field
        field.label, field.help_text = "Your version", ""
        return form

    def _is_safe(self, request: HttpRequest, address: str) -> bool:
        return url_has_allowed_host_and_scheme(address, {request.get_host()}, request.is_secure())

    def _leave(self, request: HttpRequest) -> HttpResponse:
        back = request.GET.get("next", "")
        return HttpResponseRedirect(back if self._is_safe(request, back) else reverse("admin:sync_conflict_changelist"))

    # -- taking back --------------------------------------------------------------------------------------------------------------

    def decided_view(self, request: HttpRequest) -> HttpResponse:
        """Show the latest decisions (GET), or take one back (POST)."""
        if request.method == "POST":
            return self._undo(request)
        found = [each for each in decisions(LATEST) if may_decide(request.user, each.model, ANYTHING)]
        return self.show(request, "decided", "Decided lately", decisions=list(_told(found)))

    def _undo(self, request: HttpRequest) -> HttpResponse:
        model, token, field, dot = (request.POST.get(name, "") for name in ("model", "token", "field", "dot"))
        if not may_decide(request.user, model, field or None):
            raise PermissionDenied
        try:
            undo(model, token, field or None, dot)
        except (StaleError, KeyError, ValueError):
            self.message_user(request, DECIDED, messages.WARNING)
            return HttpResponseRedirect(request.path)
        self.message_user(request, REOPENED if field else "Taken back: the conflict is open again.", messages.SUCCESS)
        return HttpResponseRedirect(address_of(model, token, field or None))


def _initial(spec: Any, shown: Version) -> Any:
    return spec.from_json(shown.value)


def _carry_out(
    decision: str, model: str, token: str, field: str | None, dot: str, seen: list[str], form: forms.Form | None
) -> None:
    if decision == "take" and field:
        resolving.take(model, token, field, dot, seen)
    elif decision == "write" and field and form is not None:
        spec, element = field_of(RowKey(model, token), field)
        value = form.cleaned_data["value"]
        resolving.write(model, token, field, value if element else spec.to_json(value), seen)
    elif decision == "keep":
        resolving.keep(model, token, seen)
    elif decision == "delete":
        resolving.delete(model, token, seen)
    else:
        raise ValueError(f"{decision!r} is no decision")


def _told(found: list[Decision]) -> Iterator[dict[str, Any]]:
    """Yield each decision with the words of the template."""
    for each in found:
        model = spec_of(each.model)
        label = describer(each.model).label(model, each.field) if model and each.field else ""
        yield {"decision": each, "label": label, "kind_of_row": model.model._meta.verbose_name if model else each.model,
               "made": side_of(model, each.made)}  # fmt: skip


def _unknown() -> Iterator[tuple[str, int]]:
    """Yield the models that this release does not know, with how many of their rows have several versions."""
    waiting = Register.objects.filter(siblings=True, alive=True, projected=False).values_list("model", flat=True)
    labels = list(waiting)
    for label in sorted(set(labels)):
        if spec_of(label) is None:
            yield label, labels.count(label)

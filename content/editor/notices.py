"""Conflicts in the page's editor: a notice at the field that has one, and what was decided there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.loader import render_to_string

from content.editor.loaded import loaded
from content.models import Block, Page
from sync import conflicts, resolving
from sync.core.errors import StaleError
from sync.describing import ANYTHING, may_decide
from sync.inbox.admin import address_of
from sync.inbox.presenting import Card, cards

PAGE, BLOCK = Page._meta.label_lower, Block._meta.label_lower
LOOKED_AT = 1000  # rows with several versions that a list of pages looks at
PREFIX = "conflict"
FIELDS = {"section_id": "section", "image_id": "picture"}  # register -> field of the form, where they bear other names


@dataclass(frozen=True, slots=True)
class Notice:
    """A conflict where it is shown. ``anchor``: the id of the notice; empty where the form has no place for it. ``name``: of its
    inputs."""

    card: Card
    anchor: str
    name: str
    chosen: str
    address: str


def notices(page: Page, form: Any, formsets: Iterable[Any], user: Any, back: str) -> list[Notice]:
    """Return the conflicts of ``page`` and its blocks, and put a notice at each field that has one."""
    rows = [(PAGE, page.token), *((BLOCK, block.token) for block in loaded(page).blocks)]
    homes: dict[str, Any] = {page.token: form}
    homes |= {each.instance.token: each for formset in formsets for each in formset.forms if not each.instance._state.adding}
    return [_placed(card, homes.get(card.conflict.token), form.data, back) for card in cards(conflicts.of_rows(rows), user)]


def _placed(card: Card, form: Any, data: Mapping[str, Any], back: str) -> Notice:
    conflict = card.conflict
    name = ":".join((PREFIX, conflict.model, conflict.token, conflict.field or ""))
    field = _field_for(conflict.field, form)
    address = address_of(conflict.model, conflict.token, conflict.field, back)
    anchor = f"notice-{form[field].auto_id}" if field else ""
    notice = Notice(card, anchor, name, str(data.get(name, "")), address)
    if field:
        shown = render_to_string("content/editor/conflict.html", {"notice": notice, "card": card})
        # The bound field may have been made before, with the help text that there was then.
        form.fields[field].help_text = form[field].help_text = f"{form.fields[field].help_text}{shown}"
    return notice


def _field_for(register: str | None, form: Any) -> str | None:
    """Return the field at which a conflict is shown: that of its register; the first one for that of a whole block."""
    if form is None:
        return None
    if register is not None:
        name = FIELDS.get(register, register.removeprefix("data/"))
        return name if name in form.fields and not form.fields[name].widget.is_hidden else None
    if not isinstance(form.instance, Block):
        return None
    return next((name for name, field in form.fields.items() if not isinstance(field.widget, forms.HiddenInput)), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen in a notice: ``choice`` is the dot of a version, or ``keep``. ``seen`` are the writes that were shown."""

    model: str
    token: str
    field: str
    choice: str
    seen: list[str]

    def carry_out(self) -> None:
        """Write it. Raises StaleError where there is nothing left to decide."""
        if self.choice == "keep" and not self.field:
            resolving.keep(self.model, self.token, self.seen)
        elif self.field:
            resolving.take(self.model, self.token, self.field, self.choice, self.seen)


def decided(data: Any, page: Page, written: set[tuple[str, str]], user: Any) -> Iterator[Decision]:
    """Yield what was chosen in the notices of ``page``, but for the registers (token, name) that were ``written`` by hand."""
    own = {page.token, *(block.token for block in loaded(page).blocks)}
    for key in data:
        prefix, _, rest = key.partition(":")
        model, _, name = rest.partition(":")
        token, _, field = name.partition(":")
        choice = data[key]
        if prefix != PREFIX or not choice or token not in own or (token, field) in written:
            continue
        if may_decide(user, model, field or ANYTHING):
            yield Decision(model, token, field, choice, str(data.get(f"seen:{key}", "")).split())


def written_by_hand(form: Any, formsets: Iterable[Any]) -> set[tuple[str, str]]:
    """Return the registers (token, name) that the forms of a page were changed in."""
    blocks = [each for formset in formsets for each in formset.forms if not each.is_new]
    found = {(form.instance.token, str(form.column(name))) for name in form.changed_data}
    return found | {(each.instance.token, f"data/{name}") for each in blocks for name in each.changed_data}


def carry_out(decisions: Iterable[Decision]) -> tuple[int, int]:
    """Write ``decisions``; return how many, and how many were decided by somebody else meanwhile."""
    done = late = 0
    for decision in decisions:
        try:
            decision.carry_out()
            done += 1
        except (StaleError, KeyError, ValueError):
            late += 1
    return done, late


def with_conflicts(pages: Iterable[Page]) -> set[str]:
    """Return the tokens of those of ``pages`` that have conflicts, or whose blocks have; one query where nothing is open."""
    tokens = {page.pk for page in pages}
    found = conflicts.open_rows().filter(model__in=[PAGE, BLOCK]).values_list("model", "token")[:LOOKED_AT]
    likely = {(model, token) for model, token in found if model == BLOCK or token in tokens}
    parts = [token for model, token in likely if model == BLOCK]
    homes = dict(Block.objects.filter(parent__in=tokens, token__in=parts).values_list("token", "parent")) if parts else {}
    rows = [(model, token) for model, token in likely if model == PAGE or token in homes]
    return {homes.get(each.token, each.token) for each in conflicts.of_rows(rows)} if rows else set()

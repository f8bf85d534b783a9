"""The formsets of blocks, one for each type, which share one reading of the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.models import BaseInlineFormSet, BaseModelFormSet, InlineForeignKeyField
from django.utils.functional import cached_property

from content.editor.loaded import loaded
from content.editor.markup import block
from content.forms.blocks import BlockForm
from content.models import Block
from sync.versions import is_known, row_key

GONE = "This block was deleted elsewhere. Copy what you need of it, then delete it here too."
PARENT = "parent"  # not sent with each block: the form is that of one page
NEW = "+"  # what the name begins with that the scripts give a new block, so that it is one block however often it is sent


class BlockFormSet(BaseInlineFormSet):
    """The blocks of one type on one page."""

    @classmethod
    def get_default_prefix(cls) -> str:
        """Fields are named after the type: ``richtext-0-html``."""
        return cls.kind()

    @classmethod
    def kind(cls) -> str:
        """The type of the blocks, a key of ``content.blocks.TYPES``."""
        model: Any = cls.model
        return str(model.kind)

    def get_queryset(self) -> Any:
        """Return this type's blocks of the page; a list, since all types are read at once."""
        if not hasattr(self, "_blocks"):
            self._blocks: list[Block] = [block for block in loaded(self.instance).blocks if block.type == self.kind()]
        return self._blocks

    @cached_property
    def empty_form(self) -> Any:
        """The form for a new block, from which the scripts make as many as are asked for."""
        return super().empty_form

    def shown(self) -> Iterator[dict[str, Any]]:
        """Yield what the template shows of each block, and of the form for a new one at the end."""
        every: list[Any] = list(self.forms)
        for number, form in enumerate(every):
            yield block(form, number, number + 1)
        if self.max_num:
            yield block(self.empty_form, "empty", len(every) + 1)

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        """Give new blocks the keys that this form gave them when it was sent before; those are stored, if it was."""
        versions = loaded(self.instance).versions
        if not self.is_bound or versions is None or i < self.initial_form_count():
            return super()._construct_form(i, **kwargs)  # type: ignore[misc]
        name = str(self.data.get(f"{self.add_prefix(i)}-token") or "")
        token = versions.token_for(name if name.startswith(NEW) else self.add_prefix(i))
        stored = self._existing_object(token) if versions.is_resent else None  # type: ignore[attr-defined]
        kind: Any = self.model
        form: Any = super()._construct_form(i, instance=stored or kind(token=token), **kwargs)  # type: ignore[misc]
        form.is_resent = stored is not None
        return form

    def add_fields(self, form: Any, index: int | None) -> None:
        """Add the keys of the block and of its page, and the box that deletes the block.

        Not those of Django's formsets of models, which build a query for the key of each block and take the key from a page that
        is not stored yet.
        """
        model: Any = self.model
        self._pk_field = model._meta.pk
        form.fields["token"] = forms.CharField(
            required=False, widget=forms.HiddenInput, initial="" if form.is_new else form.instance.token
        )
        super(BaseModelFormSet, self).add_fields(form, index)
        form.fields[PARENT] = InlineForeignKeyField(self.instance)
        if not form.is_new:
            form.initial["ordering"] = loaded(self.instance).positions.get(form.instance.token)
        if "asset" in form.fields:
            form.fields["asset"].widget.assets = loaded(self.instance).assets

    def clean(self) -> None:
        """Check that blocks are still here, and newly chosen pictures too, all of them by one query."""
        super().clean()
        for form in self.live_forms():
            if form.is_new and self._is_gone(form):
                form.add_error(None, GONE)
        chosen = [form for form in self.live_forms() if "asset" in form.changed_data]
        tokens = {form.cleaned_data.get("asset") or "" for form in chosen if hasattr(form, "cleaned_data")}
        known = loaded(self.instance)
        known.look_up(tokens)
        for form in chosen:
            token = getattr(form, "cleaned_data", {}).get("asset")
            if token and token not in known.assets:
                form.add_error("asset", "This picture is gone. Choose another one.")

    def _is_gone(self, form: BlockForm) -> bool:
        """Whether the block that a form without one speaks of was stored once."""
        name = getattr(form, "cleaned_data", {}).get("token", "")
        versions = loaded(self.instance).versions
        if name and not name.startswith(NEW):
            return True
        return versions is not None and versions.is_resent and is_known(row_key(Block, form.instance.token))

    def live_forms(self) -> list[BlockForm]:
        """Return the forms of blocks that stay or come."""
        every: list[Any] = list(self.forms)
        deleted = {id(form) for form in self.forms if self.can_delete and "DELETE" in form.changed_data}
        return [form for form in every if id(form) not in deleted and (not form.is_new or form.filled_in)]

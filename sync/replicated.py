"""The base of every replicated model."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from django.db import models, router, transaction

from sync import pending
from sync.fields import TokenField


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, list | dict) else value


class ReplicatedModel(models.Model):
    """A model whose rows replicate. Its key is a token; an inner class ``Replication`` declares what differs from the default.

    - ``policies``: field name -> ``register`` (default), ``text``, ``latest``, ``claim`` (a register whose values are owned
      for ever, for slugs). ``sync.fields.SetField`` and ``MapField`` bring policies of their own: each element is a register.
      A key of a map may be ``text``: ``{"data/html": "text"}``.
    - ``markup``: names of texts, fields or keys, that are HTML and are merged as such; others are merged as plain text.
    - ``empty_wins``: names of fields of which, of several versions, one that says None is shown.
    - ``named``: field name -> name of a reference: the field repeats the claimed name of the row referred to, as it is now.
    - ``local``: names of fields that stay on this replica.
    - ``composition``: name of the reference to the row that this one is a part of.
    - ``blobs``: names of fields that hold the SHA-256 of a blob, in hex.
    - ``scope``: function from the row's values (field name -> value) to its scope, that of a farm; without it rows are for everybody.
    - ``clean``: field name, or key of a map -> function that makes a received (of a key: a merged) value safe to show.
    - ``names``: field name -> the name that it had in ops before it was renamed, and keeps there for ever.
    - ``former``: names in ops of fields that are gone, of which nothing waits for an upgrade.
    - ``immutable``: True for rows that are made once and never altered; saving one again raises TypeError.

    An instance remembers the values it was loaded with. ``save`` writes only what differs from them, and says so: what
    somebody else changed in between is not overwritten, but stays or becomes a sibling.
    """

    token = TokenField(primary_key=True)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write what differs from what was loaded; nothing at all where nothing does."""
        if not self._state.adding and self._is_immutable():
            raise TypeError(f"{self._meta.label} is made once and never altered; make another one")
        if not self._state.adding and "_values_seen" in self.__dict__ and not kwargs.get("force_insert"):
            if kwargs.get("update_fields") is None:
                kwargs["update_fields"] = self._with_times(self.changed_fields())
            if not kwargs["update_fields"]:
                return
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using, savepoint=False):
            self.admit(kwargs.get("update_fields"), using)
            super().save(*args, **kwargs)
        self._remember(kwargs.get("update_fields"))

    def _with_times(self, changed: list[str]) -> list[str]:
        if not changed:
            return []
        times = [field.attname for field in self._meta.concrete_fields if getattr(field, "auto_now", False)]
        return [*dict.fromkeys([*changed, *times])]

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **kwargs: Any) -> Any:
        """Make an instance of a row, and remember what its author will have seen."""
        instance = super().from_db(db, field_names, values, **kwargs)
        if not cls._is_immutable():
            instance._remember(field_names)
        return instance

    @classmethod
    def _is_immutable(cls) -> bool:
        return getattr(getattr(cls, "Replication", None), "immutable", False)

    def _remember(self, names: Iterable[str] | None = None) -> None:
        loaded = self.__dict__.setdefault("_values_seen", {})
        for field in self._meta.concrete_fields:
            if field.attname in self.__dict__ and (names is None or field.attname in names or field.name in names):
                loaded[field.attname] = _copied(self.__dict__[field.attname])

    def refresh_from_db(self, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        """As Django's; what was seen is renewed too."""
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self._remember(fields)

    def see(self, name: str, value: Any) -> None:
        """Say that the author of the next write had ``value`` before him in the field with the attribute name ``name``.

        For a form that is older than the row: what was written meanwhile and not seen becomes a sibling of what is written now.
        """
        self.__dict__.setdefault("_values_seen", {})[name] = _copied(value)

    def admit(self, written: Iterable[str] | None = None, using: str | None = None) -> None:
        """Tell the open transaction what the author of this instance had seen of the fields ``written``, all by default.

        For a bulk update of instances; ``save`` does so by itself.
        """
        if self._state.adding:
            return
        loaded = self.__dict__.get("_values_seen", {})
        chosen = None if written is None else set(written)
        fields = [f for f in self._meta.concrete_fields if chosen is None or f.name in chosen or f.attname in chosen]
        seen = {field.attname: loaded[field.attname] for field in fields if field.attname in loaded}
        pending.remember_seen(self, seen, using or router.db_for_write(type(self), instance=self))

    def changed_fields(self) -> list[str]:
        """Return the attribute names of the fields that differ from what was loaded."""
        loaded = self.__dict__.get("_values_seen", {})
        return [name for name, value in loaded.items() if self.__dict__.get(name, value) != value]

"""Django fields that wrap ``sync.core``."""

from __future__ import annotations

from typing import Any

from django.db import models

from sync import conf
from sync.core import token


def new_token() -> str:
    """Return a fresh token of this replica."""
    return token.new_token(conf.name())


class TokenField(models.CharField):
    """The primary key of a replicated row: a token, made here, never edited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", token.MAX_LENGTH)
        kwargs.setdefault("default", new_token)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)


class ReferenceField(models.ForeignKey):
    """A link to a replicated row. The database does not enforce it: what it names may arrive later, or be gone.

    A row whose link leads nowhere is an orphan, which is listed and never hidden.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class SetField(models.JSONField):
    """A set of texts, each a register of its own; stored as a sorted list, so that every replica holds the same bytes."""

    policy = "set"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Sort the list, and leave out what stands in it twice."""
        canonical = sorted({str(item) for item in value}) if isinstance(value, list | tuple | set) else value
        return super().get_db_prep_value(canonical, connection, prepared)


class MapField(models.JSONField):
    """A JSON object of which each key is a register of its own; stored with its keys sorted."""

    policy = "map"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Sort the keys; one without a value is left out."""
        canonical = {key: value[key] for key in sorted(value) if value[key] is not None} if isinstance(value, dict) else value
        return super().get_db_prep_value(canonical, connection, prepared)

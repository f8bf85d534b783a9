"""From what registers say to the columns of a table: made to fit, prepared for the database, written in bulk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, models
from django.db.backends.base.operations import BaseDatabaseOperations

from sync.core import bounds
from sync.db import sql
from sync.fields import ReferenceField
from sync.registry import FieldSpec, ModelSpec, is_same

INTEGERS = BaseDatabaseOperations.integer_field_ranges
TEXTS = (models.CharField, models.TextField, models.SlugField, models.URLField, models.EmailField)
NUMBERS = (models.IntegerField, models.BigIntegerField, models.SmallIntegerField)
Prepare = Callable[[Any], Any]


def fitting(field: FieldSpec, said: Any) -> Any:
    """Return what an instance has in ``field`` where the registers say ``said``. Raises whatever the field, or what cleans, raises."""
    if bounds.is_too_deep(said):
        raise ValueError(f"{field.name} is nested deeper than {bounds.MAX_DEPTH} levels")
    value = field.from_json(field.clean(said))
    check_fits(field, value)
    return value


def check_fits(field: FieldSpec, value: Any) -> None:
    """Raise ValueError where the column of ``field`` cannot hold ``value`` on every replica, whichever database that has."""
    if isinstance(value, str):
        limit = field.field.max_length
        if limit and len(value) > limit:
            raise ValueError(f"{field.name} does not fit: it has {len(value)} letters, at most {limit} are stored")
        if "\x00" in value:
            raise ValueError(f"{field.name} does not fit: it has a NUL, which not every database stores")
    if value is None and not field.field.null:
        raise ValueError(f"{field.name} must not be empty")
    low, high = INTEGERS.get(field.field.get_internal_type(), (None, None))
    if isinstance(value, int) and low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{field.name} is out of range: {low} to {high}")  # of PostgreSQL; SQLite would take it


def prepared(field: FieldSpec) -> Prepare:
    """Return what makes the value of the column of what the registers say, and raises as ``fitting`` does.

    Of the plainest fields, which most are, a value that fits goes into its column as it is: no need to ask Django about each.
    """

    def general(said: Any) -> Any:
        return field.field.get_db_prep_save(fitting(field, said), connection)

    kind = type(field.field)
    if not is_same(field.clean):
        return general
    if kind in TEXTS:
        limit = field.field.max_length or 1 << 62
        return lambda said: said if type(said) is str and len(said) <= limit and "\x00" not in said else general(said)
    if kind is ReferenceField:
        return lambda said: said if type(said) is str and said and "\x00" not in said else general(said)
    if kind is models.BooleanField:
        return lambda said: said if type(said) is bool else general(said)
    if kind in NUMBERS:
        return _number(field, general)
    return general


def _number(field: FieldSpec, general: Prepare) -> Prepare:
    name = field.field.get_internal_type()
    low, high = INTEGERS[name]
    adapt = connection.ops.adapt_integerfield_value
    return lambda said: adapt(said, name) if type(said) is int and low <= said <= high else general(said)


def insert(model: ModelSpec, rows: Sequence[Sequence[Any]]) -> None:
    """Write ``rows`` of (token, a column of each field in the order of ``model.fields``), over what is there.

    What a model keeps for itself on each replica is left as it is, and has its default in a new row.
    """
    shared = {field.attname for field in model.fields.values()}
    local = [f for f in model.model._meta.concrete_fields if not f.primary_key and f.attname not in shared]
    defaults = [(str(f.column), f.get_db_prep_save(f.get_default(), connection)) for f in local]
    names = [*(str(field.field.column) for field in model.fields.values()), *(name for name, _ in defaults)]
    content = [(*row, *(value for _, value in defaults)) for row in rows] if defaults else rows
    sql.upsert(model.table, "token", names, content, keep=[name for name, _ in defaults])

"""Bringing rows in line with a new release: what a migration has put into new columns is not what registers say of them.

Rows follow from registers. A column that is new shows what is empty for its type, or its default, wherever nobody has written
the field, on every replica alike; and what others had written meanwhile, or an earlier release that had the field too.
"""

from __future__ import annotations

from pathlib import Path

from django.db import connection

from sync import conf, local
from sync.core.register import Row
from sync.db import sql
from sync.models import Register
from sync.registry import ModelSpec, all_specs


def _unfinished() -> Path:
    return conf.data() / "migrate.unfinished"


def begin() -> None:
    """Note, before the first of some migrations, that they and what follows them are not done. Raises OSError."""
    _unfinished().parent.mkdir(parents=True, exist_ok=True)
    _unfinished().touch()


def end() -> None:
    """Note that all is done."""
    _unfinished().unlink(missing_ok=True)


def why_unfinished() -> str:
    """Say so where a ``migrate`` has begun and has not come to its end: tables and rows may be those of two releases."""
    if _unfinished().exists():
        return "a migrate has begun and was not brought to its end; unless it still runs, run: manage.py migrate"
    return ""


def adopt() -> None:
    """Bring the columns in line that this release has and the one before had not. Called after a migration, in a transaction."""
    own, now = local.state(), {spec.label: sorted(spec.fields) for spec in all_specs()}
    if own.declared == now:
        return
    for spec in all_specs():
        fresh = set(spec.fields) - set(own.declared.get(spec.label, spec.fields))
        if fresh:
            _empty(spec, fresh)
            _defer(spec, fresh)
    own.declared = now
    own.save(update_fields=["declared"])


def _empty(spec: ModelSpec, names: set[str]) -> None:
    values = {}
    for name in sorted(names):
        field = spec.fields[name]
        values[str(field.field.column)] = field.field.get_db_prep_save(field.empty(), connection)
    sql.set_all(spec.table, values)


def _defer(spec: ModelSpec, names: set[str]) -> None:
    """Have the rows of which somebody has written one of the fields ``names`` shown anew."""
    rows = Register.objects.filter(model=spec.label).values_list("key", "state").iterator(chunk_size=2000)
    written = [key for key, state in rows if any(name.split("/", 1)[0] in names for name in Row.decode(bytes(state)).heads)]
    sql.update(Register._meta.db_table, "key", ("projected",), [(False, key) for key in written])

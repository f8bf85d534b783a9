"""What our backends add to Django's: every write of the ORM to a replicated table is seen, whichever way it takes.

``save``, ``update``, ``bulk_create``, ``delete``, cascades and many-to-many tables all end in one of Django's three compilers
of writing statements; there we look. Raw SQL does not come by here, and is not seen.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.db.models.query import QuerySet
from django.db.models.sql import Query


def _spec(query: Any) -> Any:
    from sync.registry import spec

    return spec(query.get_meta().model)


def _selected(query: Any, using: str) -> QuerySet[Any]:
    """Return what a writing query is about to change, as a query that reads."""
    model = query.get_meta().concrete_model
    chosen = query.chain(klass=Query)
    chosen.select_related = False
    chosen.clear_ordering(force=True)
    chosen.extra = {}
    return QuerySet(model=model, query=chosen, using=using)


class CapturingWrites:
    """Mixin of the compilers: keeps rows as they were, then lets the statement run."""

    connection: Any
    query: Any
    using: Any

    def execute_sql(self, *args: Any, **kwargs: Any) -> Any:
        """Run the statement; where no transaction is open, in one of its own, so that its changeset commits with it."""
        model = _spec(self.query)
        if model is None:
            with getattr(self.connection, "turn_to_write", nullcontext)():
                return super().execute_sql(*args, **kwargs)  # type: ignore[misc]
        if not self.connection.in_atomic_block:
            with transaction.atomic(using=self.using):
                return self.execute_sql(*args, **kwargs)
        from sync import capture

        touched = self.touch(model)
        try:
            return super().execute_sql(*args, **kwargs)  # type: ignore[misc]
        except BaseException:
            capture.untouch(self.using, touched)
            raise

    def touch(self, model: Any) -> list[Any]:
        """Keep the rows that the statement selects."""
        from sync import capture

        return capture.touch(self.using, model, query=_selected(self.query, self.using))


class CapturingInserts(CapturingWrites):
    """Mixin of the compiler of INSERT: rows that may be there already are read first."""

    def touch(self, model: Any) -> list[Any]:
        """Keep that the rows were not there; what ON CONFLICT may change, as it is."""
        from sync import capture

        tokens = [instance.pk for instance in self.query.objs]
        clash = model.model._base_manager.using(self.using).filter(pk__in=tokens) if self.query.on_conflict else None
        return capture.touch(self.using, model, tokens=tokens, query=clash)


class CapturingConnection:
    """Mixin of the connections: the changesets of a transaction are made just before its commit."""

    alias: str
    in_atomic_block: bool

    def _commit(self) -> None:
        pending = getattr(self, "sync_pending", None)
        if pending is not None and pending.before:
            self._flush()
        elif pending is not None:
            pending.clear()  # a form that changed nothing has said what it had seen all the same
        super()._commit()  # type: ignore[misc]
        if pending is not None:
            pending.undo.clear()

    def _flush(self) -> None:
        from sync import commit

        # Django has left the atomic block already; for the statements of the flush it is still one.
        self.in_atomic_block = True
        try:
            commit.flush(self.alias)
        except BaseException:
            self.in_atomic_block = False
            self.rollback()  # type: ignore[attr-defined]
            raise
        self.in_atomic_block = False

    def _rollback(self) -> None:
        pending = getattr(self, "sync_pending", None)
        if pending is not None:
            pending.roll_back()
        super()._rollback()  # type: ignore[misc]

    def close(self) -> None:
        """Close; what was not committed is forgotten."""
        pending = getattr(self, "sync_pending", None)
        if pending is not None:
            pending.roll_back()
        super().close()  # type: ignore[misc]

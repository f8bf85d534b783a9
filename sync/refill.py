"""Values that come after their changesets: checked by their digest, put beside the heads that name them, shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from django.db import transaction

from sync import claims, local, log
from sync.core.changeset import Changeset
from sync.db import sql
from sync.missing import rows_with
from sync.models import Entry, MissingValue
from sync.project import project
from sync.rebuild import rename
from sync.registers import Batch, RowKey
from sync.values import Values


def take(texts: Iterable[bytes]) -> int:
    """Keep those of ``texts`` that are wanted here, and show the rows that waited; return how many that were."""
    if not MissingValue.objects.exists():
        return 0
    by_digest = {hashlib.sha256(text).hexdigest(): text for text in texts}
    with transaction.atomic():
        local.take_turn()
        columns = ("digest", "dot")
        found = list(sql.select_in(MissingValue._meta.db_table, columns, "digest", list(by_digest)))
        wanted: dict[bytes, dict[str, bytes]] = {}
        for digest, dot in found:
            wanted.setdefault(bytes(dot), {})[digest] = by_digest[digest]
        if wanted:
            _show(_keep(wanted), wanted)
            sql.delete_in(MissingValue._meta.db_table, "digest", list(by_digest))
    return len({digest for digest, _ in found})


def _keep(wanted: Mapping[bytes, Mapping[str, bytes]]) -> list[Changeset]:
    """Pack the segments in which the changesets ``wanted`` stand anew, with their values; return these changesets."""
    filled: list[Changeset] = []
    for number in sorted({entry.segment for entry in log.known(wanted).values()}):
        held = [c.with_values({**c.values, **wanted.get(c.dot, {})}) for c in log.segment(number)]
        log.repack([number], held)
        filled += [changeset for changeset in held if changeset.dot in wanted]
    return filled


def _show(filled: Iterable[Changeset], wanted: Mapping[bytes, Mapping[str, bytes]]) -> None:
    changesets = {changeset.dot: changeset for changeset in filled}
    counting = {dot for dot, entry in log.known(changesets).items() if entry.state == Entry.State.APPLIED}
    batch = Batch()
    batch.load({row for dot in counting for digest in wanted[dot] for row in rows_with(changesets[dot], digest)})
    waiting = [slot for slot in batch.slots.values() if not slot.projected]
    for slot in waiting:
        slot.dirty = True
    moved: set[RowKey] = claims.forget(counting) | claims.note(changesets[dot] for dot in sorted(counting))
    rename(batch, moved)
    project(batch, Values(changesets.values()))
    batch.save()

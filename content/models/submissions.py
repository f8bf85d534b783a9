"""What visitors send."""

from __future__ import annotations

from typing import Any

from django.db import models

from sync import conf
from sync.fields import ReferenceField
from sync.replicated import ReplicatedModel


def farm_scope(row: dict[str, Any]) -> str:
    """A submission is shown to its own farm, to nodes and to masters. A replica without a farm is one by itself."""
    return f"farm:{row['farm'] or conf.name()}"


class Submission(ReplicatedModel):
    """What a visitor sent by a form. Append-only; travels up to nodes and masters, not to other farms."""

    page = ReferenceField("content.Page", on_delete=models.DO_NOTHING, null=True, related_name="submissions")
    farm = models.CharField(max_length=32, blank=True, editable=False)
    form = models.CharField(max_length=100)
    data = models.JSONField()
    idempotency_key = models.CharField(max_length=100, db_index=True)
    created = models.DateTimeField(auto_now_add=True)

    class Replication:
        scope = farm_scope
        immutable = True

    class Meta:
        ordering = ["-created", "token"]

    def __str__(self) -> str:
        return f"{self.form} {self.created:%Y-%m-%d %H:%M}"

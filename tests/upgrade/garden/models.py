"""What each release knows. The second adds a model, a column with a default and one without; the third renames and removes."""

from __future__ import annotations

import os

from django.db import models

from sync.fields import ReferenceField, SetField
from sync.replicated import ReplicatedModel

RELEASE = int(os.environ["GARDEN_RELEASE"])


class Plant(ReplicatedModel):
    """Something that grows."""

    title = models.CharField(max_length=100)
    tags = SetField(default=list)
    if RELEASE < 3:
        colour = models.CharField(max_length=40, blank=True)
        notes = models.TextField(blank=True)
    else:
        hue = models.CharField(max_length=40, blank=True)
    if RELEASE > 1:
        height = models.IntegerField(default=7)
        soil = models.CharField(max_length=40)

    class Replication:
        if RELEASE > 2:
            names = {"hue": "colour"}
            former = ("notes",)


if RELEASE > 1:

    class Bed(ReplicatedModel):
        """Where plants grow."""

        title = models.CharField(max_length=100)
        plant = ReferenceField(Plant, on_delete=models.DO_NOTHING, null=True)

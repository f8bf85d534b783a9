"""One record."""

import uuid

from django.db import models
from morango.models import SyncableModel

PROFILE, SCOPE = "bench", "everything"


class Record(SyncableModel):
    """A title and a kilobyte of text."""

    morango_profile = PROFILE
    morango_model_name = "record"
    root = models.CharField(max_length=32)  # of the certificate, under which everything is synced
    title = models.CharField(max_length=200)
    slug = models.CharField(max_length=200)
    description = models.TextField()
    ordering = models.IntegerField()

    def calculate_source_id(self):
        """A random one, as its default for rows that are not unique by anything they hold."""
        return uuid.uuid4().hex

    def calculate_partition(self):
        """All records are in one partition."""
        return self.root

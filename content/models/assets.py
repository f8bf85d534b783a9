"""Images and files."""

from __future__ import annotations

from django.db import models

from sync.replicated import ReplicatedModel


class Asset(ReplicatedModel):
    """A file that pages show. The row replicates at once; the blob named by ``digest`` follows, and may not be here yet."""

    without_rowid = True

    title = models.CharField(max_length=200)
    alt = models.CharField("alternative text", max_length=500, blank=True)
    filename = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, editable=False, db_index=True, help_text="SHA-256 of the content, in hex")
    size = models.PositiveBigIntegerField(editable=False, help_text="bytes")
    content_type = models.CharField(max_length=100, editable=False)
    width = models.PositiveIntegerField(null=True, editable=False, help_text="pixels; empty for what is no picture")
    height = models.PositiveIntegerField(null=True, editable=False, help_text="pixels")
    created = models.DateTimeField(auto_now_add=True)

    class Replication:
        blobs = ("digest",)

    class Meta:
        ordering = ["-created", "token"]

    def __str__(self) -> str:
        return self.title or self.filename

    @property
    def url(self) -> str:
        """The public address, which never shows anything else: the digest is part of it."""
        return f"/media/{self.digest}/{self.filename}"

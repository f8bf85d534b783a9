"""What the public sees: immutable snapshots, and redirects to them."""

from __future__ import annotations

from django.db import models

from sync.fields import ReferenceField
from sync.replicated import ReplicatedModel


class Publication(ReplicatedModel):
    """One published version of a page, whole: made in one transaction, never altered, never deleted.

    The columns repeat what lists and addresses need; ``data`` (see ``content.publishing.snapshot``) is all that is shown.
    """

    page = ReferenceField("content.Page", on_delete=models.DO_NOTHING, related_name="publications")
    section = ReferenceField("content.Section", on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    slug = models.CharField(max_length=255, db_index=True)
    title = models.CharField(max_length=200)
    date = models.DateTimeField()
    data = models.JSONField()
    author = models.CharField(max_length=150, blank=True)
    made = models.DateTimeField(auto_now_add=True)

    class Replication:
        immutable = True
        named = {"slug": "page"}  # where two pages claimed one slug, the address of what is public moves with the page's

    class Meta:
        ordering = ["-date", "-made", "token"]
        indexes = [  # the newest of all, and of a section, are read in their order
            models.Index(fields=["-date", "-made", "token"], name="publication_newest"),
            models.Index(fields=["section", "-date", "-made", "token"], name="publication_of_section"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.made:%Y-%m-%d %H:%M})"

    def get_absolute_url(self) -> str:
        """The public address."""
        return f"/{self.section.slug}/{self.slug}"


class Redirect(ReplicatedModel):
    """A former address, such as that of an imported page, which leads to a page wherever that is now."""

    without_rowid = True

    path = models.CharField(max_length=500, db_index=True, help_text="starts with a slash, ends without one")
    page = ReferenceField("content.Page", on_delete=models.CASCADE, related_name="redirects")

    def __str__(self) -> str:
        return self.path

"""What readers see at this moment: a local table, derived from what is published, by which a change of it is noticed."""

from __future__ import annotations

from django.db import models


class PublicPage(models.Model):
    """A public page: which publication is shown of it, at which address, in which section. Keys are tokens."""

    without_rowid = True

    page = models.CharField(primary_key=True, max_length=64)
    publication = models.CharField(max_length=64)
    section = models.CharField(max_length=64, db_index=True)
    address = models.CharField(max_length=520)

    def __str__(self) -> str:
        return self.address

"""Sections, pages and their blocks, as editors see them. The public sees publications only."""

from __future__ import annotations

from typing import Any

from content_editor.models import Region
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from content.blocks import clean_html, describe
from content.models.assets import Asset
from sync import claims
from sync.core.slug import make_slug
from sync.fields import MapField, ReferenceField, SetField
from sync.replicated import ReplicatedModel


class Slugged(ReplicatedModel):
    """A row with a title and an address of its own. The slug is made once and stays when the title changes."""

    title = models.CharField(max_length=200)
    slug = models.CharField(max_length=255, editable=False, db_index=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.slug:
            self.renew_slug()
        super().save(*args, **kwargs)

    def renew_slug(self) -> None:
        """Make the slug anew from the title. The former one goes on to lead here, by a redirect."""
        self.slug = claims.free(self._meta.label_lower, self.token, make_slug(self.title, self.token))


class Section(Slugged):
    """A part of the site: ``/<slug>`` lists its pages."""

    description = models.TextField(blank=True)
    # Of every database's integers: one that SQLite takes and PostgreSQL does not would be refused by other replicas.
    ordering = models.IntegerField(default=0, validators=[MinValueValidator(-(1 << 31)), MaxValueValidator((1 << 31) - 1)])

    class Replication:
        policies = {"slug": "claim", "description": "text", "ordering": "latest"}

    class Meta:
        ordering = ["ordering", "title", "token"]

    def get_absolute_url(self) -> str:
        """The public address."""
        return f"/{self.slug}"


class Page(Slugged):
    """A page as its editors see it. ``publication`` is what the public sees; none means unpublished."""

    section = ReferenceField(Section, on_delete=models.PROTECT, related_name="pages")
    summary = models.TextField(blank=True)
    tags = SetField(default=list, blank=True, help_text="list of texts")
    authors = models.JSONField(default=list, blank=True, help_text="list of names, in the order shown")
    date = models.DateTimeField(default=timezone.now, help_text="the date shown to readers; lists are sorted by it")
    image = ReferenceField(Asset, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    seo_title = models.CharField("title for search engines", max_length=200, blank=True)
    seo_description = models.CharField("description for search engines", max_length=320, blank=True)
    hidden_from_search = models.BooleanField("hide from search engines", default=False)
    publication = ReferenceField("content.Publication", on_delete=models.SET_NULL, null=True, editable=False, related_name="+")
    source = models.CharField(max_length=300, blank=True, editable=False, help_text="the file it was imported from")
    source_digest = models.CharField(max_length=64, blank=True, editable=False, help_text="SHA-256 of what was imported")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    regions = (Region(key="main", title="Content"),)

    class Replication:
        policies = {"slug": "claim", "summary": "text", "updated": "latest"}
        empty_wins = ("publication",)  # taken down by one and published by another at once, the page is down

    class Meta:
        ordering = ["-updated", "token"]
        permissions = [("publish_page", "Can publish and unpublish pages")]

    def get_absolute_url(self) -> str:
        """The public address, where its published version appears."""
        if self.publication_id and self.publication:
            return self.publication.get_absolute_url()
        return f"/{self.section.slug}/{self.slug}"


class Block(ReplicatedModel):
    """A piece of a page. ``data`` follows the block type of ``content.blocks``; each of its keys replicates by itself."""

    parent = ReferenceField(Page, on_delete=models.CASCADE, related_name="blocks")
    region = models.CharField(max_length=40, default="main")
    ordering = models.CharField(max_length=100, help_text="fractional key, see content.ordering; ties are broken by token")
    type = models.CharField(max_length=40)
    data = MapField(default=dict)

    class Replication:
        # A move is no edit: it raises nothing that was deleted, and asks nobody.
        policies = {"ordering": "latest", "data/html": "text", "data/caption": "text", "data/code": "text"}
        markup = ("data/html", "data/caption")
        clean = {"data/html": clean_html}
        composition = "parent"

    class Meta:
        ordering = ["ordering", "token"]

    def __str__(self) -> str:
        return describe(self.type, self.data)

"""A page with the fields of a page of edgecms, and a table for each type of block."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Section(models.Model):
    """A part of the site."""

    title = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.title


class Page(models.Model):
    """A page."""

    title = models.CharField(max_length=200)
    summary = models.TextField(blank=True)
    section = models.ForeignKey(Section, models.PROTECT)
    tags = models.CharField(max_length=200, blank=True)
    authors = models.CharField(max_length=200, blank=True)
    date = models.DateTimeField(default=timezone.now)
    picture = models.CharField(max_length=64, blank=True)
    seo_title = models.CharField(max_length=200, blank=True)
    seo_description = models.TextField(blank=True)
    hidden_from_search = models.BooleanField(default=False)
    updated = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.title


class Block(models.Model):
    """What all types of block have."""

    parent = models.ForeignKey(Page, models.CASCADE)
    region = models.CharField(max_length=40, default="main")
    ordering = models.IntegerField()

    class Meta:
        abstract = True
        ordering = ["ordering"]


class RichText(Block):
    """Text."""

    html = models.TextField(blank=True)


class Image(Block):
    """A picture, told by its key."""

    asset = models.CharField(max_length=64)
    alt = models.CharField(max_length=500, blank=True)
    caption = models.TextField(blank=True)


class Quote(Block):
    """Words of somebody."""

    html = models.TextField(blank=True)
    attribution = models.CharField(max_length=200, blank=True)


class Code(Block):
    """A piece of a program."""

    code = models.TextField(blank=True)
    language = models.CharField(max_length=40, blank=True)


class Table(Block):
    """Rows and columns."""

    rows = models.JSONField(default=list)
    header = models.BooleanField(default=True)
    caption = models.CharField(max_length=200, blank=True)


class Callout(Block):
    """A note."""

    html = models.TextField(blank=True)
    tone = models.CharField(max_length=20, choices=[("note", "Note"), ("tip", "Tip"), ("warning", "Warning")])


KINDS = {"richtext": RichText, "image": Image, "quote": Quote, "code": Code, "table": Table, "callout": Callout}

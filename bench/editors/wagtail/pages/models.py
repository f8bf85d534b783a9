"""A page whose stream has the types of block that edgecms has."""

from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.blocks import BooleanBlock, CharBlock, ChoiceBlock, RichTextBlock, StructBlock, TextBlock
from wagtail.fields import StreamField
from wagtail.images.blocks import ImageChooserBlock
from wagtail.models import Page

TONES = [("note", "Note"), ("tip", "Tip"), ("warning", "Warning")]
BLOCKS = [
    ("richtext", StructBlock([("html", RichTextBlock())])),
    ("image", StructBlock([("asset", ImageChooserBlock()), ("alt", CharBlock()), ("caption", RichTextBlock(required=False))])),
    ("quote", StructBlock([("html", RichTextBlock()), ("attribution", CharBlock(required=False))])),
    ("code", StructBlock([("code", TextBlock()), ("language", CharBlock(required=False))])),
    (
        "table",
        StructBlock([("rows", TextBlock()), ("header", BooleanBlock(required=False)), ("caption", CharBlock(required=False))]),
    ),
    ("callout", StructBlock([("html", RichTextBlock()), ("tone", ChoiceBlock(choices=TONES))])),
]


class StreamPage(Page):
    """Title, summary and a stream of blocks."""

    summary = models.TextField(blank=True)
    tags = models.CharField(max_length=200, blank=True)
    authors = models.CharField(max_length=200, blank=True)
    body = StreamField(BLOCKS)
    content_panels = [*Page.content_panels, *(FieldPanel(name) for name in ("summary", "tags", "authors", "body"))]

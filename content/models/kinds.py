"""The blocks of one type each, as the editor shows them: proxies of the one table of blocks."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from content.models.pages import Block


class OfOneKind(models.Manager[Any]):
    """Reads the blocks of the model's own kind and nothing else."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(type=self.model.kind)


class KindOfBlock(Block):
    """Base of the proxies; a subclass names its ``kind``, a key of ``content.blocks.TYPES``."""

    kind = ""
    objects: ClassVar[models.Manager[Any]] = OfOneKind()

    class Meta:
        proxy = True
        default_permissions = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.type = self.type or self.kind


class RichTextBlock(KindOfBlock):
    """Headings, paragraphs, lists."""

    kind = "richtext"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "text"


class ImageBlock(KindOfBlock):
    """A picture with its alternative text and caption."""

    kind = "image"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "image"


class QuoteBlock(KindOfBlock):
    """Words of somebody."""

    kind = "quote"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "quote"


class CodeBlock(KindOfBlock):
    """A piece of a program."""

    kind = "code"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "code"


class TableBlock(KindOfBlock):
    """Rows and columns of text."""

    kind = "table"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "table"


class EmbedBlock(KindOfBlock):
    """Something of another site, such as a video."""

    kind = "embed"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "embed"


class CalloutBlock(KindOfBlock):
    """A note, a tip or a warning."""

    kind = "callout"

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "callout"


KINDS: tuple[type[KindOfBlock], ...] = (
    RichTextBlock,
    ImageBlock,
    QuoteBlock,
    CodeBlock,
    TableBlock,
    EmbedBlock,
    CalloutBlock,
)

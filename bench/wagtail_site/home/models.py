"""A page of paragraphs."""

import os

from django.db import models  # noqa: F401
from wagtail.blocks import RichTextBlock
from wagtail.fields import StreamField
from wagtail.models import Page

if os.environ.get("BENCH_CACHED"):
    from wagtailcache.cache import WagtailCacheMixin as Base
else:

    class Base:
        """Without a cache."""


class TextPage(Base, Page):
    """Title and a stream of paragraphs."""

    body = StreamField([("paragraph", RichTextBlock())], default=list)
    template = "home/text_page.html"

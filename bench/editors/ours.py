"""The pages in edgecms; run by ``manage.py shell -c``. Prints where each is edited."""

from __future__ import annotations

from bench.editors.content import SUMMARY, TITLE, blocks


def fill(sizes: list[int]) -> None:
    """Make an account and a page of each size."""
    from django.db import transaction

    from content.admin.addresses import editor_address
    from content.models import Asset, Block, Editor, Page, Section
    from content.ordering import spread

    Editor.objects.create_superuser("bench", "bench@example.org", "bench")
    section = Section.objects.create(title="News")
    image = Asset.objects.create(
        title="Harbour", filename="h.png", digest="0" * 64, size=1, content_type="image/png", width=8, height=6
    )
    for size in sizes:
        with transaction.atomic():
            page = Page.objects.create(
                title=TITLE.format(size), section=section, summary=SUMMARY, tags=["sea"], authors=["Ada"]
            )
            for (kind, data), key in zip(blocks(size, image.pk), spread(size), strict=True):
                Block.objects.create(parent=page, type=kind, data=data, ordering=key)
        print(editor_address(page))

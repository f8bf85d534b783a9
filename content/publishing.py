"""Publishing: one immutable snapshot of the whole page, made in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from content.blocks import clean_data
from content.models import Asset, Block, Page, Publication


def publish(page: Page, author: str = "") -> Publication:
    """Make the page as it is stored now what the public sees, and return the publication."""
    with transaction.atomic():
        publication = Publication.objects.create(
            page=page,
            section_id=page.section_id,
            slug=page.slug,
            title=page.title,
            date=page.date,
            data=snapshot(page),
            author=author,
        )
        page.publication = publication
        # ``updated`` stays: a page whose ``updated`` is later than its publication's ``made`` was changed since.
        page.save(update_fields=["publication"])
    return publication


def unpublish(page: Page) -> None:
    """Take the page down. Its publications stay; its address answers 410."""
    page.publication = None
    page.save(update_fields=["publication"])


def snapshot(page: Page, blocks: Iterable[Block] | None = None) -> dict[str, Any]:
    """Return everything that is shown of ``page``, as JSON. ``blocks``, in their order, replace those that are stored.

    Keys: ``title``, ``summary``, ``tags``, ``authors``, ``seo_title``, ``seo_description``, ``hidden_from_search``,
    ``image`` (an asset or None), ``blocks``: list of {``token``, ``type``, ``data``}; an image's data has its asset under
    ``file``. An asset is {``token``, ``url``, ``alt``, ``width``, ``height``, ``content_type``, ``digest``}.
    """
    blocks = in_order(page.blocks.all()) if blocks is None else list(blocks)
    tokens = [block.data.get("asset") for block in blocks if block.type == "image"] + [page.image_id]
    assets = Asset.objects.in_bulk([token for token in tokens if token])
    return {
        "title": page.title,
        "summary": page.summary,
        "tags": page.tags,
        "authors": page.authors,
        "seo_title": page.seo_title,
        "seo_description": page.seo_description,
        "hidden_from_search": page.hidden_from_search,
        "image": _asset(assets.get(page.image_id or "")),
        "blocks": [{"token": block.token, "type": block.type, "data": _block_data(block, assets)} for block in blocks],
    }


def in_order(blocks: Iterable[Block]) -> list[Block]:
    """Return ``blocks`` as they follow each other. Sorted here, since a database may collate keys in another order."""
    return sorted(blocks, key=lambda block: (block.ordering, block.token))


def _block_data(block: Any, assets: dict[str, Asset]) -> dict[str, Any]:
    data = clean_data(block.type, block.data)
    if block.type == "image":
        data["file"] = _asset(assets.get(data.get("asset", "")))
    return data


def _asset(asset: Asset | None) -> dict[str, Any] | None:
    if asset is None:
        return None
    keys = ("token", "url", "alt", "width", "height", "content_type", "digest")
    return {key: getattr(asset, key) for key in keys}

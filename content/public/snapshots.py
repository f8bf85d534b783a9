"""Snapshots as templates, search and API may rely on them: every key there, every value of its type.

A publication arrives by replication as well, from a newer release or from somebody hostile; what does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from content.blocks import clean_data


def normal(data: Any) -> dict[str, Any]:
    """Return the snapshot ``data`` with the keys that ``content.publishing.snapshot`` documents, safe to show."""
    return {**head(data), "blocks": [block(item) for item in raw_blocks(data)]}


def head(data: Any) -> dict[str, Any]:
    """Return what ``normal`` returns, without the blocks: lists need no more, and cleaning takes time."""
    raw: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    return {
        **{key: text(raw.get(key)) for key in ("title", "summary", "seo_title", "seo_description")},
        "tags": texts(raw.get("tags")),
        "authors": texts(raw.get("authors")),
        "hidden_from_search": raw.get("hidden_from_search") is True,
        "image": picture(raw.get("image")),
    }


def raw_blocks(data: Any) -> list[Mapping[str, Any]]:
    """Return the blocks of a snapshot as they stand there, which is not safe to show."""
    blocks = data.get("blocks") if isinstance(data, Mapping) else None
    return [item for item in blocks if isinstance(item, Mapping)] if isinstance(blocks, list) else []


def block(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one block, its data cleaned again; that of an image has its picture under ``file``."""
    kind = text(item.get("type"))
    raw = item.get("data")
    known = raw if isinstance(raw, Mapping) else {}
    data = clean_data(kind, known)
    if kind == "image":
        data["file"] = picture(known.get("file"))
    return {"token": text(item.get("token")), "type": kind, "data": data}


def picture(asset: Any) -> dict[str, Any] | None:
    """Return ``url``, ``alt``, ``width``, ``height`` of an asset in a snapshot, or None for what is no picture of ours."""
    if not isinstance(asset, Mapping) or not text(asset.get("url")).startswith("/media/"):
        return None
    size = {key: asset.get(key) if isinstance(asset.get(key), int) else None for key in ("width", "height")}
    return {"url": asset["url"], "alt": text(asset.get("alt")), **size}


def text(value: Any) -> str:
    """Return a text, nothing for anything else."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """Return the texts of a list, nothing for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

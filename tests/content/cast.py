"""Rows that many tests begin with."""

from __future__ import annotations

import io
from typing import Any

from django.contrib.auth.models import Permission
from PIL import Image

from content.models import Asset, Block, Editor, Page, Publication, Section
from content.publishing import publish
from sync import blobs


def section(title: str = "News", **fields: Any) -> Section:
    """A section."""
    return Section.objects.create(title=title, **fields)


def draft(title: str = "Low water", html: str = "<p>The tide is out.</p>", **fields: Any) -> Page:
    """A page with one text block, not published."""
    fields.setdefault("section", Section.objects.first() or section())
    page = Page.objects.create(title=title, **fields)
    Block.objects.create(parent=page, type="richtext", data={"html": html}, ordering="V")
    return page


def published(title: str = "Low water", **fields: Any) -> Page:
    """A published page with one text block."""
    page = draft(title, **fields)
    publish(page, author="ada")
    return page


def publication(page: Page) -> Publication:
    """What the public sees of ``page``."""
    page.refresh_from_db()
    assert page.publication is not None
    return page.publication


def png(width: int = 40, height: int = 20) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (10, 90, 80)).save(file, "PNG")
    return file.getvalue()


def asset(content: bytes = b"", **fields: Any) -> Asset:
    """A picture whose blob is here."""
    content = content or png()
    digest, size = blobs.put(io.BytesIO(content))
    defaults = {
        "title": "Tide",
        "alt": "The tide",
        "filename": "tide.png",
        "content_type": "image/png",
        "width": 40,
        "height": 20,
    }
    return Asset.objects.create(**{**defaults, "digest": digest, "size": size, **fields})


def staff(*permissions: str, username: str = "grace", **fields: Any) -> Editor:
    """Somebody of the staff with exactly these permissions of the content app."""
    user = Editor.objects.create_user(username, password="secret", is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="content", codename__in=permissions))
    return user

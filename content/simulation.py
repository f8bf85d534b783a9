"""What editors and visitors do beside writing fields, for ``manage.py sync_simulate``."""

from __future__ import annotations

from typing import Any

from content import publishing
from content.models import Block, Page, Section
from content.ordering import between


def _page(editor: Any) -> Page | None:
    tokens = list(Page.objects.order_by("token").values_list("token", flat=True)[:5])
    return Page.objects.get(pk=editor.random.choice(tokens)) if tokens else None


def write_page(editor: Any) -> None:
    """A page with blocks, in one transaction."""
    section = Section.objects.order_by("token").first() or Section.objects.create(title="News")
    page = Page.objects.create(title=editor.random.choice(("Tide", "Ferry")), section=section)
    order = ""
    for _ in range(editor.random.randint(1, 3)):
        order = between(order, "")
        Block.objects.create(parent=page, type="richtext", data={"html": "<p>Mist on the river.</p>"}, ordering=order)
    editor.deed.what.append(f"writes page {page.token}")


def publish(editor: Any) -> None:
    """Publish a page, or take it down."""
    page = _page(editor)
    if page is None:
        return
    if page.publication_id and editor.random.random() < 0.4:
        publishing.unpublish(page)
        editor.deed.what.append(f"takes down {page.token}")
    else:
        publishing.publish(page)
        editor.deed.what.append(f"publishes {page.token}")


def move(editor: Any) -> None:
    """Move a block within its page, or to another one."""
    tokens = list(Block.objects.order_by("token").values_list("token", flat=True)[:6])
    if not tokens:
        return
    block = Block.objects.get(pk=editor.random.choice(tokens))
    target = _page(editor)
    if target is not None and editor.random.random() < 0.5:
        block.parent = target
    last = Block.objects.order_by("-ordering").values_list("ordering", flat=True).first()
    block.ordering = between(last or "", "")
    block.save()
    editor.deed.what.append(f"moves block {block.token}")


def rename(editor: Any) -> None:
    """Give a page another title, and the address that goes with it."""
    page = _page(editor)
    if page is not None:
        page.title = editor.random.choice(("Tide", "Ferry", "Lock"))
        page.renew_slug()
        page.save()
        editor.deed.what.append(f"renames {page.token} to {page.slug}")


ACTS = {"write_page": write_page, "publish": publish, "move": move, "rename": rename}

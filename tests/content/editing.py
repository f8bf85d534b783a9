"""What the tests of the editor share: a small cast, a page, and the form as a browser would send it."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any

from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from content.models import Asset, Block, Editor, Page, Section
from content.ordering import spread

LIST = "/admin/content-editor/page/"
ADD = "/admin/content-editor/page/add"


def person(group: str) -> Client:
    """Return a browser in which a member of ``group`` is logged in."""
    editor, _ = Editor.objects.get_or_create(username=group, is_staff=True)
    editor.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(editor)
    return client


def make_page(*blocks: tuple[str, dict[str, Any]], title: str = "Example page") -> Page:
    """Return a stored draft with ``blocks``, each given as type and data."""
    section = Section.objects.first() or Section.objects.create(title="News")
    page = Page.objects.create(title=title, section=section, tags=["a", "b"], authors=["Ada"])
    for (kind, data), key in zip(blocks, spread(len(blocks)), strict=True):
        Block.objects.create(parent=page, type=kind, data=data, ordering=key)
    return page


def texts(count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return ``count`` blocks of text."""
    return [("richtext", {"html": f"<p>{number}</p>"}) for number in range(count)]


def picture(name: str = "red.png", colour: str = "red") -> SimpleUploadedFile:
    """Return a small PNG as a browser uploads it."""
    content = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(content, "PNG")
    return SimpleUploadedFile(name, content.getvalue(), "image/png")


def make_asset(title: str = "Harbour") -> Asset:
    """Return a stored asset without its content."""
    return Asset.objects.create(
        title=title, filename="h.png", digest="0" * 64, size=1, content_type="image/png", width=8, height=6
    )


def address(page: Page) -> str:
    """Return where ``page`` is edited."""
    return f"/admin/content-editor/page/{page.slug}"


class _Fields(HTMLParser):
    """Collects what a browser would send of the form ``name``; None: of the one without a name that is sent by POST."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.name = name
        self.data: dict[str, str] = {}
        self.inside = False
        self.area: str | None = None
        self.select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value if value is not None else "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "form":
            self.inside = values.get("id") == self.name and values.get("method") == "post"
        if not self.inside or "__prefix__" in name:
            return
        if tag == "textarea":
            self.area, self.data[name] = name, ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in values or self.select not in self.data):
            self.data[self.select] = values.get("value", "")
        elif tag == "input" and name and values.get("type") in ("checkbox", "radio"):
            self.data.update({name: values.get("value", "on")} if "checked" in values else {})
        elif tag == "input" and name and values.get("type") not in ("file", "submit"):
            self.data[name] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.area:
            # A browser drops the line end behind the tag and sends the others as CR LF.
            self.data[self.area] = self.data[self.area].removeprefix("\n").replace("\n", "\r\n")
            self.area = None
        if tag == "select":
            self.select = None

    def handle_data(self, text: str) -> None:
        if self.area and self.inside:
            self.data[self.area] += text


def form_of(client: Client, where: str, name: str | None = "page_form") -> dict[str, Any]:
    """Open ``where`` and return its form ``name`` as a browser would send it back untouched."""
    response = client.get(where)
    assert response.status_code == 200, response.status_code
    return fields_of(response.content.decode(), name)


def fields_of(markup: str, name: str | None) -> dict[str, Any]:
    """Return the form ``name`` of a page as a browser would send it; None: the one without a name."""
    parser = _Fields(name)
    parser.feed(markup)
    return parser.data


def save(client: Client, page: Page, form: dict[str, Any], button: str = "_save") -> Any:
    """Send ``form`` and return the response, which must be the redirect of a save that worked."""
    response: Any = client.post(address(page), form | {button: ""})
    assert response.status_code == 302, response.context["errors"] if response.context else response.status_code
    return response


def add_block(form: dict[str, Any], kind: str, position: int | None = None, **values: Any) -> str:
    """Put a new block into ``form`` and return the prefix of its fields."""
    number = int(form[f"{kind}-TOTAL_FORMS"])
    form[f"{kind}-TOTAL_FORMS"] = str(number + 1)
    prefix = f"{kind}-{number}-"
    form.update({f"{prefix}{key}": value for key, value in values.items()})
    form[f"{prefix}region"] = "main"
    form[f"{prefix}ordering"] = str(position if position is not None else 10 * (number + 100))
    return prefix

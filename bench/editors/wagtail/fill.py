"""The pages. Prints, for each, where it is edited and the inputs that the scripts of the editor make of its blocks, as JSON."""

import io
import json
import uuid

from bench.editors.content import SUMMARY, TITLE, blocks


def fill(sizes):
    """Make an account and a page of each size."""
    from django.contrib.auth import get_user_model
    from django.core.files.images import ImageFile
    from django.urls import reverse
    from PIL import Image as Picture
    from wagtail.images.models import Image
    from wagtail.models import Page, Site

    from bench.editors.wagtail.pages.models import StreamPage

    get_user_model().objects.create_superuser("bench", "bench@example.org", "bench")
    content = io.BytesIO()
    Picture.new("RGB", (80, 60), "red").save(content, "PNG")
    image = Image.objects.create(title="Harbour", file=ImageFile(content, name="h.png"), width=80, height=60)
    home = Page.objects.get(depth=1).add_child(instance=Page(title="Home", slug="bench-home"))
    Site.objects.all().delete()
    Site.objects.create(hostname="localhost", root_page=home, is_default_site=True)
    for size in sizes:
        body = [
            {"type": kind, "id": str(uuid.uuid4()), "value": _stored(values)} for kind, values in blocks(size, str(image.pk))
        ]
        page = StreamPage(
            title=TITLE.format(size), slug=f"of-{size}", summary=SUMMARY, tags="sea", authors="Ada", body=json.dumps(body)
        )
        home.add_child(instance=page)
        page.save_revision().publish()
        print(json.dumps({"path": reverse("wagtailadmin_pages:edit", args=[page.pk]), "inputs": dict(_inputs(body))}))


def _stored(values):
    """Return values as Wagtail keeps them: a table as text, for it has no block for tables of its own."""
    rows = {"rows": json.dumps(values["rows"])} if "rows" in values else {}
    asset = {"asset": int(values["asset"])} if "asset" in values else {}
    return {**values, **rows, **asset}


def _inputs(body):
    yield "body-count", str(len(body))
    for number, block in enumerate(body):
        prefix = f"body-{number}"
        for name, value in (("deleted", ""), ("order", str(number)), ("type", block["type"]), ("id", block["id"])):
            yield f"{prefix}-{name}", value
        for name, value in block["value"].items():
            if value is not False:
                yield f"{prefix}-value-{name}", _sent(name, value)


def _sent(name, value):
    """Return a value as its input has it: rich text as the JSON of the Draftail editor."""
    from wagtail.test.utils.form_data import rich_text

    if name in ("html", "caption") and str(value).startswith("<"):
        return rich_text(value)
    return "on" if value is True else str(value)

"""Promises of ``content.uploads``: the editor, the API and the import take the same files for the same things."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from content import uploads
from content.models import Asset
from tests.content.editing import add_block, address, form_of, make_page, person, save

DRAWING = b"<?xml version='1.0'?><!-- a --><svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'><path/></svg>"


def sideways() -> bytes:
    """A photograph of 64 by 32 pixels, taken with the camera on its side."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[uploads.ORIENTATION] = 6
    Image.new("RGB", (64, 32)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def kind_of(content: bytes) -> tuple[str, int | None, int | None]:
    return uploads.inspect(io.BytesIO(content), len(content))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.svg", DRAWING, ("a.svg", "image/svg+xml", 40, 30)),
        ("b.png", sideways(), ("b.jpg", "image/jpeg", 32, 64)),
    ],
)
def test_the_editor_measures_as_readers_will_see_it(name, content, found):
    """A drawing and a photograph taken sideways are kept with the measures that browsers show, and a fitting name."""
    page, client = make_page(), person("author")
    form = form_of(client, address(page))
    add_block(form, "image", upload=SimpleUploadedFile(name, content, "image/png"))
    save(client, page, form)
    asset = Asset.objects.get()
    assert (asset.filename, asset.content_type, asset.width, asset.height) == found


@pytest.mark.parametrize(
    ("tag", "size"),
    [
        (b"<svg viewBox='0 0 40 30.4'/>", (40, 30)),
        (b"<svg width='12px' height='8' viewBox='0 0 1 1'>", (12, 8)),
        (b"<svg width='100%' height='100%'>", (None, None)),
        (b"<svg width='1e9' height='9'>", (None, None)),
        (b"<svg width='999999' height='9'>", (None, None)),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!DOCTYPE svg PUBLIC 'a' 'b' [<!ENTITY c 'd'>]>\n<svg>", (None, None)),
    ],
)
def test_a_drawing_is_measured_by_its_own_words(tag, size):
    """Width and height, else the view box; nothing where they are no pixels."""
    assert kind_of(tag) == ("image/svg+xml", *size)


@pytest.mark.parametrize("content", [b"<!---->" * 1100, b"<html><svg>", b"<svgs>", b"<!-- <svg> -->", b"\xff\xfe<svg>", b""])
def test_what_only_resembles_a_drawing_is_none(content):
    """A drawing begins with its own tag; a file of a thousand comments is answered at once like any other."""
    assert kind_of(content)[0] == uploads.OTHER


def test_a_picture_that_is_cut_off_is_refused():
    """A PNG whose end is missing is broken, although its beginning tells its size."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    with pytest.raises(ValidationError, match="broken"):
        kind_of(file.getvalue()[:-400])


def test_a_format_that_browsers_do_not_show_is_no_picture():
    """A TIFF is kept as a file, and refused where a picture is asked for."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "TIFF")
    assert kind_of(file.getvalue())[0] == uploads.OTHER
    with pytest.raises(ValidationError, match="no picture"):
        uploads.check(SimpleUploadedFile("a.tif", file.getvalue(), "image/tiff"))

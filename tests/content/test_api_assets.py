"""Promises of ``/api/v1/assets/``: a file is what its content says."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from content import uploads
from content.api.assets import AssetsView
from content.models import Asset
from tests.content import cast

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/assets/"


@pytest.fixture
def keeper(client: Client) -> Client:
    """Staff who may keep assets."""
    client.force_login(cast.staff("view_asset", "add_asset", "change_asset", "delete_asset"))
    return client


def upload(client: Client, content: bytes, name: str = "tide.png", kind: str = "image/png", **texts: str) -> dict:
    answer = client.post(ADDRESS, {"file": SimpleUploadedFile(name, content, kind), **texts})
    return {"status": answer.status_code, **answer.json()}


def test_uploaded_picture_can_be_shown(keeper: Client) -> None:
    """A picture is kept with its measures, and served at its address."""
    asset = upload(keeper, cast.png(64, 32), title="Tide", alt="Low")
    assert (asset["status"], asset["content_type"], asset["width"], asset["height"]) == (201, "image/png", 64, 32)
    assert keeper.get(asset["url"]).getvalue() == cast.png(64, 32)


def test_picture_taken_sideways_has_the_measures_it_is_shown_with(keeper: Client) -> None:
    """A camera's turn of a picture swaps width and height, as browsers do."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(file, "JPEG", exif=exif)
    asset = upload(keeper, file.getvalue(), "a.jpg")
    assert (asset["width"], asset["height"]) == (32, 64)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html><script>1</script>", "application/octet-stream"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<?xml version='1.0'?>\n<!-- x --><svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"", "empty"),
    ],
)
def test_type_comes_from_the_content(keeper: Client, content: bytes, found: str) -> None:
    """Neither the name nor the sender decides what a file is."""
    asset = upload(keeper, content, "x.png", "text/html")
    assert asset.get("content_type", "empty") == found


def test_broken_picture_is_refused(keeper: Client) -> None:
    """A file that begins as a picture and is none is refused with a reason."""
    assert upload(keeper, cast.png()[:30])["status"] == 400
    assert upload(keeper, b"<html>", kind="image/png")["status"] == 400
    assert not Asset.objects.exists()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_picture_of_too_many_pixels_is_refused(keeper: Client) -> None:
    """A small file that would unfold to a hundred million pixels is refused by its header."""
    file = io.BytesIO()
    Image.new("1", (11_000, 11_000)).save(file, "PNG")
    assert upload(keeper, file.getvalue())["status"] == 400


def test_file_too_large_is_refused(keeper: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is refused, before or after it was read, and not kept."""
    monkeypatch.setattr(uploads, "MAX_SIZE", 100)
    assert upload(keeper, b"x" * 101, kind="text/plain")["status"] == 400
    monkeypatch.setattr(AssetsView, "max_body", 1000)
    assert upload(keeper, b"x" * 1000, kind="text/plain")["code"] == "too_large"
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("Ölpest 1.JPG", "lpest-1.JPG"),
        ("...", "file"),
        ("a/b\\c.png", "c.png"),
        ("海.png", "file.png"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    """A name keeps letters that every address can hold, and no folder."""
    assert uploads.safe_name(name) == safe


def test_texts_can_be_changed_and_nothing_else(keeper: Client) -> None:
    """Title and alternative text change; the digest is what it is."""
    token = upload(keeper, cast.png())["token"]
    assert keeper.patch(f"{ADDRESS}{token}/", {"alt": "New"}, content_type="application/json").json()["alt"] == "New"
    refused = keeper.patch(f"{ADDRESS}{token}/", {"digest": "0" * 64}, content_type="application/json")
    assert refused.json()["errors"][0]["code"] == "read_only"
    assert keeper.delete(f"{ADDRESS}{token}/").status_code == 204


def test_assets_are_for_staff(client: Client) -> None:
    """Strangers neither list nor add assets."""
    assert client.get(ADDRESS).status_code == upload(client, cast.png())["status"] == 401

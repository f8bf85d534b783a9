"""Promises of media: whole, typed, harmless, kept for ever; a placeholder until they have come."""

import pytest
from django.test import Client

from sync import blobs
from tests.content import cast

pytestmark = pytest.mark.django_db


def test_picture_is_served_whole_and_for_ever(client: Client) -> None:
    """A stored picture comes byte for byte, under its type, to be kept for ever, and is not sent twice."""
    asset = cast.asset()
    response = client.get(asset.url)
    assert response.getvalue() == cast.png()
    assert response["Content-Type"] == "image/png" and "immutable" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert client.get(asset.url, headers={"If-None-Match": response["ETag"]}).status_code == 304


def test_picture_that_has_not_come_has_a_placeholder_of_its_size(client: Client) -> None:
    """Until its blob is here a picture is a quiet surface of the same size, which nobody keeps."""
    asset = cast.asset(width=640, height=480)
    blobs.path(asset.digest).unlink()
    response = client.get(asset.url)
    assert (response.status_code, response["Content-Type"], response["Cache-Control"]) == (200, "image/svg+xml", "no-store")
    assert 'width="640" height="480"' in response.content.decode()
    cast.asset()
    assert client.get(asset.url).getvalue() == cast.png()


def test_file_that_has_not_come_says_try_again(client: Client) -> None:
    """A file that is no picture answers 503 until its blob is here."""
    asset = cast.asset(b"%PDF-1.7 x", filename="a.pdf", content_type="application/pdf", width=None, height=None)
    blobs.path(asset.digest).unlink()
    response = client.get(asset.url)
    assert response.status_code == 503 and response["Retry-After"] and response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("digest", ["0" * 64, "short", "..", "%00", "A" * 64])
def test_unknown_digest_is_not_found(client: Client, digest: str) -> None:
    """Only what an asset names is served."""
    assert client.get(f"/media/{digest}/x.png").status_code == 404


def test_blob_without_an_asset_is_not_served(client: Client) -> None:
    """A blob that no asset names is nobody's business."""
    asset = cast.asset(b"orphan")
    asset.delete()
    assert client.get(asset.url).status_code == 404


def test_drawing_can_run_nothing(client: Client) -> None:
    """An SVG opened by itself is in a sandbox."""
    asset = cast.asset(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", content_type="image/svg+xml")
    policy = client.get(asset.url)["Content-Security-Policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy


@pytest.mark.parametrize("kind", ["text/html", "application/xhtml+xml", "text/html\r\nX-Bad: 1", "", "image/png; x"])
def test_what_is_not_known_to_be_harmless_is_downloaded(client: Client, kind: str) -> None:
    """A type that a browser might run, or that is none, is never shown inside the site."""
    response = client.get(cast.asset(b"<script>1</script>", content_type=kind, filename="x.html").url)
    assert response["Content-Disposition"].startswith("attachment") and "sandbox" in response["Content-Security-Policy"]

"""Media as files: originals and renditions are answered without Django, and gone once no asset names them."""

import io
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image, ImageDraw

from content import renditions
from content.models import Asset, Block
from content.pagecache import media, stale
from sync import blobs
from sync.core.changeset import Op
from tests.content import cast
from tests.content.reading import Reader
from tests.sync.origins import Origin, arrive

pytestmark = pytest.mark.django_db(transaction=True)


def picture(width: int = 1000, height: int = 500, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture of many colours."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def photo(content: bytes = b"", **fields: Any) -> Asset:
    """A large photo."""
    given = {"filename": "tide.jpg", "content_type": "image/jpeg", "width": 1000, "height": 500, **fields}
    return cast.asset(content or picture(), **given)


def kept() -> set[str]:
    """The media in the folder."""
    root = stale.folder().root
    return {f"/{path.relative_to(root)}" for path in (root / "media").rglob("*") if path.is_file()}


def opened(body: bytes) -> Image.Image:
    """The picture that was answered."""
    return Image.open(io.BytesIO(body))


@pytest.mark.parametrize("width", [None, 640])
def test_media_are_answered_as_files_after_the_first_request(reader: Reader, width: int | None) -> None:
    """The second reader gets the same bytes and headers without Django or the database; who has them gets no body."""
    asset = photo()
    path = renditions.address(asset.url, width) if width else asset.url
    first = reader.get(path)
    with CaptureQueriesContext(connection) as queries:
        second, head = reader.get(path), reader.get(path, method="HEAD")
        known = reader.get(path, if_none_match=second.headers["ETag"])
    assert (first.code, second.code, known.code, reader.rendered, len(queries)) == (200, 200, 304, 1, 0)
    assert second.body == first.body and second.body and not head.body + known.body
    assert head.headers == second.headers
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control", "Content-Security-Policy"):
        assert second.headers[name] == first.headers[name], name
    assert "immutable" in second.headers["Cache-Control"] and "sandbox" in second.headers["Content-Security-Policy"]


def test_an_original_takes_no_room_twice(reader: Reader) -> None:
    """Its file is the blob itself under another name."""
    asset = photo()
    reader.get(asset.url)
    assert (stale.folder().root / asset.url.strip("/")).samefile(blobs.path(asset.digest))


def test_a_rendition_is_the_picture_in_another_width(reader: Reader) -> None:
    """WebP in the right proportion, smaller than the original, turned as it is shown, without what the camera wrote beside."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"  # turned to the right
    asset = photo(picture(1000, 500, exif=exif, quality=95), width=500, height=1000)
    answer = reader.get(renditions.address(asset.url, 320))
    image = opened(answer.body)
    assert (image.format, image.size, answer.headers["Content-Type"]) == ("WEBP", (320, 640), "image/webp")
    assert not image.getexif() and b"A camera" not in answer.body and len(answer.body) < asset.size


def test_a_drawing_on_nothing_becomes_smaller_too(reader: Reader) -> None:
    """Lines that stand in the transparency cost no more in a smaller width than the original does."""
    lines = Image.new("RGBA", (1920, 1440), (0, 0, 0, 0))
    draw, chance = ImageDraw.Draw(lines), random.Random(7)
    for _ in range(60):
        corners = [(chance.randrange(1920), chance.randrange(1440)) for _ in range(2)]
        draw.line(corners, fill=(0, 0, 0, 255), width=7)
    file = io.BytesIO()
    lines.resize((960, 720)).quantize(64).save(file, "PNG", optimize=True)
    asset = photo(file.getvalue(), filename="plan.png", content_type="image/png", width=960, height=720)
    answer = reader.get(renditions.address(asset.url, 640))
    assert opened(answer.body).mode == "RGBA" and len(answer.body) < asset.size


@pytest.mark.parametrize("width", [319, 321, 1000, 1280, 9999])
def test_no_other_widths_are_made(reader: Reader, width: int) -> None:
    """Neither any that is asked for nor any that is larger than the picture; and nothing is kept."""
    asset = photo()
    assert reader.get(renditions.address(asset.url, width)).code == 404 and kept() == set()


def test_what_has_no_other_size_is_shown_as_it_is(reader: Reader) -> None:
    """A picture that moves, or is broken, sends readers on to the original."""
    frames = [Image.new("RGB", (700, 350), color) for color in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    moving = photo(file.getvalue(), filename="wave.webp", content_type="image/webp", width=700, height=350)
    broken = photo(picture()[:2000], filename="torn.jpg")
    for asset in (moving, broken):
        answer = reader.get(renditions.address(asset.url, 320))
        assert (answer.code, answer.headers["Location"]) == (302, asset.url)
    assert kept() == set()


def test_a_rendition_of_what_has_not_come_has_a_placeholder_of_its_size(reader: Reader) -> None:
    """Nobody keeps it, and the picture shows as soon as its blob is here."""
    asset = photo()
    path, blob = renditions.address(asset.url, 320), blobs.path(asset.digest)
    blob.unlink()
    answer = reader.get(path)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("image/svg+xml", "no-store")
    assert 'width="320" height="160"' in answer.text and kept() == set()
    photo()
    assert reader.get(path).headers["Content-Type"] == "image/webp"


def test_a_burst_makes_a_rendition_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """One works, the others wait for that one."""
    made: list[Path] = []
    make = renditions.make
    monkeypatch.setattr(renditions, "make", lambda source, target, width: (made.append(target), make(source, target, width)))
    path = renditions.address(photo().url, 640)
    threads = [threading.Thread(target=reader.get, args=(path,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def read_all(reader: Reader, asset: Asset) -> set[str]:
    """Ask for the original and a rendition, and return their addresses."""
    paths = {asset.url, renditions.address(asset.url, 320)}
    assert {reader.get(path).code for path in paths} == {200} and paths <= kept()
    return paths


def test_media_are_gone_once_no_asset_names_them(reader: Reader) -> None:
    """After a deletion here or elsewhere; another asset's stay, and so do those of a content that another asset names too."""
    gone, other = photo(picture(900)), photo(picture(800))
    twin = photo(picture(800), title="The same again")
    paths, left = read_all(reader, gone), read_all(reader, other)
    gone.delete()
    assert {reader.get(path).code for path in paths} == {404} and kept() == left
    twin.delete()
    assert {reader.get(path).code for path in left} == {200}
    origin = Origin("EDGE01-LON").trust_here()
    from sync.core.register import Row
    from sync.models import Register

    state = Row.decode(bytes(Register.objects.get(model="content.asset", token=other.token).state))
    seen = sorted({dot for heads in state.heads.values() for dot in heads})
    arrive(origin.make(Op("content.asset", other.token, [], list(range(len(seen)))), refs=seen))
    assert {reader.get(path).code for path in left} == {404} and kept() == set()


def test_a_file_that_is_replaced_leaves_its_old_address(reader: Reader) -> None:
    """The former content is not to be had any more, and the new one is."""
    asset = photo()
    paths = read_all(reader, asset)
    digest, size = blobs.put(io.BytesIO(picture(960)))
    Asset.objects.filter(pk=asset.pk).update(digest=digest, size=size, width=960)
    asset.refresh_from_db()
    assert {reader.get(path).code for path in paths} == {404}
    assert reader.get(asset.url).code == 200


def test_a_request_that_began_before_a_deletion_puts_nothing_back(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered, and its file is not kept."""
    asset = photo()
    make = renditions.make

    def meanwhile(source: Path, target: Path, width: int) -> None:
        make(source, target, width)
        asset.delete()

    monkeypatch.setattr(renditions, "make", meanwhile)
    path = renditions.address(asset.url, 320)
    assert reader.get(path).code == 200 and kept() == set()
    assert reader.get(path).code == 404


def test_nothing_is_kept_while_its_deletion_is_under_way(reader: Reader) -> None:
    """Between the announcement and the commit the asset is still to be seen, and its file stays away."""
    asset = photo()
    reader.get(asset.url)
    change = stale.folder().change([f"/media/{asset.digest}"])
    assert reader.get(asset.url).code == 200 and kept() == set()
    change.end()
    assert reader.get(asset.url).code == 200 and kept() == {asset.url}


@pytest.mark.parametrize(
    ("filename", "kind", "is_kept", "is_download"),
    [
        ("tide.jpg", "image/jpeg", True, False),
        ("tide.JPG", "image/jpeg", True, False),
        ("plan.pdf", "application/pdf", True, False),
        ("all.zip", "application/zip", True, True),
        ("page.html", "application/octet-stream", True, True),
        ("tide.png", "image/jpeg", False, False),
        ("tide.jpg", "text/html", False, True),
        ("page.html", "image/jpeg", False, False),
        ("notes.txt", "text/plain", False, False),
    ],
)
def test_only_what_its_name_tells_right_is_kept(
    reader: Reader, filename: str, kind: str, is_kept: bool, is_download: bool
) -> None:
    """A web server sees no row; where the name says something else than the content, Django answers each time."""
    asset = photo(b"<script>1</script>", filename=filename, content_type=kind)
    first, second = reader.get(asset.url), reader.get(asset.url)
    assert (kept() == {asset.url}) is is_kept and reader.rendered == (1 if is_kept else 2)
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy", "X-Frame-Options"):
        assert first.headers.get(name) == second.headers.get(name)
    for answer in (first, second):
        assert answer.headers.get("Content-Disposition", "").startswith("attachment") is is_download


def test_pages_that_change_leave_media_where_they_are(reader: Reader) -> None:
    """Renditions cost time, and follow from blobs alone; another release makes them anew."""
    paths = read_all(reader, photo())
    with transaction.atomic():
        stale.announce(None)
    assert kept() == paths
    stale.folder().settle("another release")
    assert kept() == set()


def test_renditions_are_bounded(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they grow beyond the bound they go, originals stay, and whoever asks gets them again."""
    monkeypatch.setattr(media, "MAX_BYTES", 1)
    monkeypatch.setattr(media, "LOOK_EVERY", 1)
    asset = photo()
    path = renditions.address(asset.url, 320)
    assert [reader.get(address).code for address in (asset.url, path, path)] == [200, 200, 200]
    assert kept() == {asset.url}


def test_pages_offer_the_widths_that_there_are(reader: Reader) -> None:
    """A large photo in smaller widths too, whichever the screen needs; a small picture and a drawing as they are."""
    large, small = photo(), photo(picture(200, 100), width=200, height=100)
    drawing = photo(b"<svg/>", filename="map.svg", content_type="image/svg+xml")
    page = cast.draft()
    for number, asset in enumerate((large, small, drawing)):
        Block.objects.create(parent=page, type="image", data={"asset": asset.token}, ordering=f"W{number}")
    cast.publish(page)
    text = reader.get(f"/{page.section.slug}/{page.slug}").text
    offered = [f"{renditions.address(large.url, width)} {width}w" for width in (320, 640, 960)]
    assert f'srcset="{", ".join([*offered, f"{large.url} 1000w"])}"' in text
    assert text.count("srcset") == 1 and small.url in text and drawing.url in text

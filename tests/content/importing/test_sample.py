"""Real posts: the sample that comes with the project, and the whole collection where a variable names it.

``EDGECMS_IMPORT_CORPUS`` is the folder of the whole collection, with ``posts`` and ``assets``.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from content.blocks import TYPES, clean_data, plain_text
from content.models import Asset, Block, Page, Publication, Redirect
from sync import blobs

SAMPLE = Path(__file__).parents[3] / "content/samples/18f"
CORPUS = os.environ.get("EDGECMS_IMPORT_CORPUS", "")
needs_corpus = pytest.mark.skipif(not CORPUS, reason="EDGECMS_IMPORT_CORPUS does not name the folder of all posts")
FOLDERS = [SAMPLE, pytest.param(Path(CORPUS), marks=needs_corpus, id="corpus")]
TRIFLE = 3  # words of a post that may be lost: what no reader would call text, such as the name of a template's variable


def load(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    """Import ``folder`` and return the report."""
    capsys.readouterr()
    call_command("import_pages", str(folder), "--json")
    return json.loads(capsys.readouterr().out)


def files(folder: Path) -> list[Path]:
    """The posts of a collection."""
    return sorted((folder / "posts").glob("*.md"))


def words(text: str) -> Counter[str]:
    """The words of a text, without case."""
    return Counter(re.findall(r"[^\W_]+", html.unescape(text).lower()))


# What stands in a post and is no text, with what of it is: made by looking at the posts, not at the importer.
NO_TEXT = [
    (r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>|<!--.*?-->|\{%-? *comment.*?endcomment *%\}", " "),
    (r"\{\{[^}]*\|\s*team_photo\s*\}\}", " "),
    (r"\{%\s*image(?:_with_class)?\s+\"[^\"]*\"(?:\s+\"[\w -]+\"(?=\s+\"))?(.*?)%\}", r" \1 "),
    (r"\{\{\s*[\"'][^}]*?\|\s*embed:(.*?)\}\}", r" \1 "),
    (r"\{%\s*include[^%]*?alt: *\"([^\"]*)\"(?:[^%]*?caption: *\"([^\"]*)\")?[^%]*%\}", r" \1 \2 "),
    (r"\{\{\s*\"([^\"]*)\"\s*\|\s*team_link\s*\}\}", r" \1 "),
    (r"\]\(\s*\{\{.*?\}\}[^)]*\)", "]"),
    (r"\{%-?\s*(?:end)?raw\s*-?%\}|\{\{[^}]*\}\}", " "),
    (r"\]\([^()\s]*(?:\([^()]*\)[^()]*)*(?:\s+\"[^\"]*\")?\)", "]"),
    (r"(?m)^ {0,3}\[[^\]^]+\]:\s*\S+.*?$", " "),
    (r"\]\[[^\]]*\]", "]"),
    (r"(?m)^ {0,3}(?:```|~~~).*?$", " "),
    (r"(?m)^[\s>*-]*\d+[.)](?=\s)", " "),  # the numbers of lists
    (r"<img[^>]*?alt= ?\"([^\"]*)\"[^>]*>", r" \1 "),
    (r"</?[a-zA-Z][^>]*>", " "),
]


def words_of_post(file: Path) -> Counter[str]:
    """The words that a reader of the post would see."""
    text = file.read_text().split("\n---", 1)[1]
    for pattern, kept in NO_TEXT:
        text = re.sub(pattern, kept, text, flags=re.DOTALL)
    return words(text)


def words_of_page(page: Page) -> Counter[str]:
    """The words that the blocks of a page show, the addresses of links among them."""
    found: Counter[str] = Counter()
    for block in page.blocks.all():
        found += words(plain_text(block.type, block.data))
        found += words(" ".join(re.findall(r'href="([^"]*)"', json.dumps(block.data).replace('\\"', '"'))))
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_post_becomes_a_published_page(folder, capsys):
    """Each file is one published page with blocks, its former address leads to it, and every image shown is here."""
    report = load(folder, capsys)
    posts = files(folder)
    assert (report["pages"], report["created"], report["failed"]) == (len(posts), len(posts), [])
    assert set(Page.objects.values_list("source", flat=True)) == {f"posts/{file.name}" for file in posts}
    assert Publication.objects.count() == len(posts) and not Page.objects.filter(publication=None).exists()
    assert not Page.objects.filter(blocks=None).exists() and set(Page.objects.values_list("section__title", flat=True)) == {
        "Blog"
    }
    former = {"/" + "/".join(re.fullmatch(r"(\d+)-(\d+)-(\d+)-(.*)", file.stem).groups()) for file in posts}
    paths = list(Redirect.objects.values_list("path", flat=True))
    assert former <= set(paths) and len(paths) == len(set(paths)) == report["redirects"]
    shown = {block.data["asset"] for block in Block.objects.filter(type="image")}
    assert shown <= set(Asset.objects.values_list("token", flat=True))
    assert all(blobs.has(asset.digest) and asset.width for asset in Asset.objects.all())


@pytest.mark.django_db
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_post_loses_text(folder, capsys):
    """Every word of every post is in the blocks of its page."""
    load(folder, capsys)
    lost = {}
    for page in Page.objects.prefetch_related("blocks"):
        missing = words_of_post(folder / page.source) - words_of_page(page)
        if missing.total() > TRIFLE:
            lost[page.source] = dict(missing)
    assert lost == {}


@pytest.mark.django_db
@pytest.mark.parametrize("folder", FOLDERS)
def test_importing_again_writes_nothing(folder, capsys):
    """The second import sends no statement that writes, and its report counts the same pages and images."""
    first = load(folder, capsys)
    with CaptureQueriesContext(connection) as queries:
        second = load(folder, capsys)
    assert [query["sql"] for query in queries if query["sql"].split()[0] in ("INSERT", "UPDATE", "DELETE")] == []
    assert (second["unchanged"], second["pages"], second["created"]) == (first["pages"], first["pages"], 0)
    assert (second["images"], second["missing_images"]) == (first["images"], first["missing_images"])


@pytest.mark.django_db
@pytest.mark.parametrize("folder", FOLDERS)
def test_found_and_missing_images_are_those_that_are_there_and_not(folder, capsys):
    """Nothing is called missing that is in the folder, and nearly all that is there is shown somewhere."""
    report = load(folder, capsys)
    there = {path.relative_to(folder).as_posix() for path in (folder / "assets").rglob("*") if path.is_file()}
    assert there.isdisjoint(report["missing_images"])
    assert len(there) - 2 <= report["images"] <= len(there)


@pytest.mark.django_db
@pytest.mark.parametrize("folder", FOLDERS)
def test_blocks_are_clean_and_of_known_types(folder, capsys):
    """What is stored is what the cleaning of blocks would leave, so that nothing changes when it is shown."""
    load(folder, capsys)
    for block in Block.objects.all():
        assert block.type in TYPES and clean_data(block.type, block.data) == block.data


@pytest.mark.django_db
@needs_corpus
def test_all_of_the_collection(capsys):
    """The whole collection: 471 posts, their 255 images that are there, and a line for each of the 354 that are not."""
    report = load(Path(CORPUS), capsys)
    assert (report["pages"], report["images"], len(report["missing_images"])) == (471, 255, 354)
    assert all(drop["line"] > 0 and drop["why"] for drop in report["dropped"])

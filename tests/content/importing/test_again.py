"""Importing again: nothing is written that is as it should be; what changed is changed in place."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from content.importing import writing
from content.models import Asset, Block, Page, Publication, Redirect, Section
from content.publishing import publish, unpublish

BODY = "First.\n\n![Red](/assets/blog/x.png)\n\nMiddle.\n\n```\ncode\n```\n\n> Said.\n\nLast."


def writes(queries) -> list[str]:
    """The statements that change rows."""
    return [query["sql"] for query in queries if query["sql"].split()[0] in ("INSERT", "UPDATE", "DELETE", "REPLACE")]


def states() -> dict[str, tuple]:
    """Type, data and place of each block by token."""
    return {block.token: (block.type, block.data, block.ordering) for block in Block.objects.all()}


def test_a_second_import_writes_nothing(site):
    """The second import of the same files sends no statement that writes, and reports the same images."""
    site.picture()
    site.post(BODY)
    first = site.run()
    with CaptureQueriesContext(connection) as queries:
        second = site.run()
    assert writes(queries) == []
    assert (first["pages"], first["created"], first["unchanged"]) == (1, 1, 0)
    assert (second["pages"], second["created"], second["unchanged"], second["redirects"]) == (1, 0, 1, 0)
    assert first["images"] == second["images"] == 1


def test_each_page_is_one_transaction(site):
    """A page, its blocks, assets, redirects and publication are stored together or not at all."""
    site.picture()
    site.post(BODY)
    with CaptureQueriesContext(connection) as queries:
        site.run()
    kinds = [query["sql"].split()[0] for query in queries]
    first, last = (
        position for position, kind in enumerate(kinds) if kind in ("SAVEPOINT", "RELEASE") and _outermost(kinds, position)
    )
    assert all(first < position < last for position, kind in enumerate(kinds) if kind in ("INSERT", "UPDATE"))


def _outermost(kinds: list[str], position: int) -> bool:
    depth = sum({"SAVEPOINT": 1, "RELEASE": -1}.get(kind, 0) for kind in kinds[:position])
    return depth == (0 if kinds[position] == "SAVEPOINT" else 1)


def test_a_page_that_cannot_be_stored_leaves_nothing_and_harms_no_other(site, monkeypatch):
    """Where publishing fails, the page is not there in part, and the next page makes anew what both need."""
    site.picture()
    site.post(BODY, name="posts/a.md", head="title: A")
    site.post(BODY, name="posts/b.md", head="title: B")

    def fail_once(row, author):
        monkeypatch.undo()
        raise OSError("disk full")

    monkeypatch.setattr(writing, "publish", fail_once)
    report = site.run()
    assert "disk full" in report["failed"][0]["reason"]
    assert list(Page.objects.values_list("title", flat=True)) == ["B"]
    assert (Asset.objects.count(), Section.objects.count()) == (1, 1)
    assert Block.objects.exclude(parent=Page.objects.get()).count() == 0


def test_a_changed_file_changes_only_what_differs(site):
    """A changed word writes one block; page, slug and the other blocks keep their tokens; the public sees the new version."""
    site.picture()
    site.post(BODY)
    site.run()
    page, before = Page.objects.get(), states()
    site.post(BODY.replace("Middle", "Centre"), head="title: New title")
    with CaptureQueriesContext(connection) as queries:
        report = site.run()
    after, now = states(), Page.objects.get()
    assert (report["updated"], report["pages"]) == (1, 1)
    assert (now.token, now.slug, now.title) == (page.token, page.slug, "New title")
    assert after.keys() == before.keys() and sum(after[token] != before[token] for token in after) == 1
    assert sum('"content_block"' in sql for sql in writes(queries)) == 1
    assert now.publication_id != page.publication_id
    assert "Centre" in str(now.publication.data) and now.publication.title == "New title"
    assert Redirect.objects.count() == 1


def test_blocks_put_in_or_taken_out_leave_the_others_alone(site):
    """A block in between gets a place in between; a removed one is deleted; no other row is touched."""
    site.picture()
    site.post(BODY)
    site.run()
    before = states()
    site.post(BODY.replace("```\ncode\n```", "| a |\n|---|\n| 1 |").replace("> Said.\n\n", "> Said.\n\n> Again.\n\n"))
    site.run()
    after = states()
    assert [kind for kind, _, _ in sorted(after.values(), key=lambda entry: entry[2])] == [
        "richtext", "image", "richtext", "table", "quote", "quote", "richtext",
    ]  # fmt: skip
    kept = before.keys() & after.keys()
    assert len(kept) == 5 and all(before[token] == after[token] for token in kept)


def test_an_image_that_came_later_is_shown(site):
    """A page is brought up to date when an image that was missing is there, though its text is the same."""
    site.post(BODY)
    assert site.run()["missing_images"] == ["assets/blog/x.png"]
    site.picture()
    report = site.run()
    assert (report["updated"], report["missing_images"]) == (1, [])
    assert Block.objects.filter(type="image").count() == 1


def test_an_editors_change_stays_while_the_file_stays(site):
    """A page that editors changed is left alone where its file did not change; where it did, the report says so."""
    site.post("Text.")
    site.run()
    page = Page.objects.get()
    page.title = "Edited"
    page.save()
    publish(page, "jane")
    assert site.run()["unchanged"] == 1
    assert Page.objects.get().title == "Edited"
    site.post("Other text.")
    report = site.run()
    assert report["updated"] == 1 and "editors had changed this page" in report["notes"][0]
    assert Page.objects.get().title == "Hello"


def test_a_page_taken_down_by_an_editor_stays_down(site):
    """A changed file updates the page and does not bring it back to the public."""
    site.post("Text.")
    site.run()
    unpublish(Page.objects.get())
    site.post("Other text.")
    report = site.run()
    assert Page.objects.get().publication_id is None and Publication.objects.count() == 1
    assert any("taken down" in note for note in report["notes"])


def test_the_top_of_a_site_and_its_folder_of_pages_are_the_same_import(site):
    """Importing the folder with posts and assets, then the posts alone, finds the same pages and images."""
    site.picture()
    site.post(BODY)
    site.run()
    report = site.run(path="posts")
    assert (report["unchanged"], report["images"], Page.objects.count()) == (1, 1, 1)


def test_one_image_shown_often_is_one_asset(site):
    """Two pages that show the same file, and another file with its content, make one asset for each name."""
    site.picture("assets/a.png")
    site.picture("assets/b.png")
    site.post("![A](/assets/a.png)\n\n![A](assets/a.png)", name="posts/1.md", head="title: One")
    site.post("![A](/assets/a.png)\n\n![B](/assets/b.png)", name="posts/2.md", head="title: Two")
    report = site.run()
    assert sorted(Asset.objects.values_list("filename", flat=True)) == ["a.png", "b.png"]
    assert report["images"] == 2


def test_a_change_that_nobody_sees_makes_no_new_publication(site):
    """A file whose bytes changed and whose page did not is noted as seen, and the public keeps what it has."""
    site.post("Text.")
    site.run()
    site.post("Text.", head="title: Hello\nlayout: post")
    assert site.run()["updated"] == 1
    assert Publication.objects.count() == 1
    assert site.run()["unchanged"] == 1

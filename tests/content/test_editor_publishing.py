"""Publishing, unpublishing and the preview, as the editor does them."""

import pytest
from django.contrib.admin.models import LogEntry

from content.models import Asset, Block, Page, Publication
from content.publishing import publish
from tests.content.editing import ADD, add_block, address, form_of, make_asset, make_page, person, picture, texts

pytestmark = pytest.mark.django_db


def test_save_and_publish_makes_a_publication_of_what_was_sent():
    """One click stores the form and shows it to readers; the message leads there, the editor stays."""
    page, client = make_page(*texts(1)), person("editor")
    form = form_of(client, address(page)) | {"title": "Now public", "richtext-0-html": "<p>new</p>", "_publish": ""}
    response = client.post(address(page), form, follow=True)
    assert response.redirect_chain[-1][0] == address(page)
    publication = Publication.objects.get()
    assert publication.title == "Now public" and publication.author == "editor"
    assert publication.data["blocks"][0]["data"] == {"html": "<p>new</p>"}
    assert f'<a href="{publication.get_absolute_url()}">' in response.content.decode()
    assert Page.objects.get().publication == publication


def test_a_saved_draft_leaves_the_publication_alone():
    """What the public sees changes by publishing and by nothing else."""
    page, client = make_page(*texts(1)), person("editor")
    publication = publish(page)
    client.post(address(page), form_of(client, address(page)) | {"richtext-0-html": "<p>draft</p>", "_save": ""})
    assert Publication.objects.get() == publication
    assert Page.objects.get().publication_id == publication.token
    assert "Changed since" in client.get(address(page)).content.decode()


def test_publishing_what_is_public_already_makes_no_second_publication():
    """A second click on publish changes nothing."""
    page, client = make_page(*texts(1)), person("editor")
    for _ in range(2):
        client.post(address(page), form_of(client, address(page)) | {"_publish": ""})
    assert Publication.objects.count() == 1


def test_unpublish_takes_the_page_down_and_keeps_what_was_written():
    """The page is a draft again; its publication stays as history."""
    page, client = make_page(), person("editor")
    publish(page)
    client.post(address(page), form_of(client, address(page)) | {"title": "Kept", "_unpublish": ""})
    page = Page.objects.get()
    assert page.publication_id is None and page.title == "Kept"
    assert Publication.objects.count() == 1


def test_a_new_page_is_published_at_once():
    """Writing and publishing a page is one form and one click."""
    make_page()
    client = person("editor")
    form = form_of(client, ADD) | {"title": "Fresh"}
    add_block(form, "richtext", html="<p>hello</p>")
    client.post(ADD, form | {"_publish": ""})
    assert Publication.objects.get().data["blocks"][0]["data"] == {"html": "<p>hello</p>"}


def test_selected_pages_are_published_from_the_list():
    """The list publishes several pages, and takes them down."""
    pages, client = [make_page(title=title) for title in "ab"], person("editor")
    chosen = [page.token for page in pages]
    client.post("/admin/content-editor/page/", {"action": "publish_selected", "_selected_action": chosen})
    assert Publication.objects.count() == 2
    client.post("/admin/content-editor/page/", {"action": "unpublish_selected", "_selected_action": chosen})
    assert not Page.objects.exclude(publication_id=None).exists()


def test_the_preview_shows_the_unsaved_form_and_saves_nothing():
    """Changed, new, moved and deleted blocks show in the preview, and no row changes."""
    page, client, asset = make_page(*texts(3)), person("author"), make_asset()
    form = form_of(client, address(page)) | {
        "title": "Unsaved title", "richtext-0-html": "<p>unsaved</p>", "richtext-1-DELETE": "on", "richtext-0-ordering": "99",
    }  # fmt: skip
    add_block(form, "image", 100, asset=asset.token, alt="Boats at rest")
    before = (list(Page.objects.values()), list(Block.objects.order_by("token").values()), Asset.objects.count())
    html = client.post(address(page) + "/preview/", form).content.decode()
    assert "Unsaved title" in html and "Boats at rest" in html and "<p>1</p>" not in html
    assert html.index("<p>2</p>") < html.index("<p>unsaved</p>")
    assert (list(Page.objects.values()), list(Block.objects.order_by("token").values()), Asset.objects.count()) == before
    assert not LogEntry.objects.exists()


def test_the_preview_leaves_files_and_mistakes_out():
    """A form in the middle of being written has a preview all the same."""
    page, client = make_page(*texts(1)), person("author")
    form = form_of(client, address(page)) | {"title": "", "picture_upload": picture()}
    add_block(form, "embed", url="not an address")
    response = client.post(address(page) + "/preview", form)
    assert response.status_code == 200 and "<p>0</p>" in response.content.decode()
    assert not Asset.objects.exists()


def test_a_new_page_has_a_preview_before_it_is_saved():
    """The form for a new page previews without making one."""
    make_page()
    client = person("author")
    form = form_of(client, ADD) | {"title": "Not yet"}
    add_block(form, "richtext", html="<p>hello</p>")
    assert "hello" in client.post(ADD + "/preview", form).content.decode()
    assert client.get(ADD + "/preview").status_code == 200
    assert not Page.objects.filter(title="Not yet").exists()


def test_the_editor_keeps_a_strict_content_security_policy():
    """Every inline element of the editor carries the nonce of its response."""
    page, client = make_page(*texts(1)), person("author")
    response = client.get(address(page))
    policy, html = response.headers["Content-Security-Policy"], response.content.decode()
    assert "unsafe-inline" not in policy and "'nonce-" in policy
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"' in html
    assert " style=" not in html and " onclick=" not in html
    for tag in ("<script", "<style"):
        for piece in html.split(tag)[1:]:
            head = piece.split(">")[0]
            assert "src=" in head or 'type="application/json"' in head or f'nonce="{nonce}"' in head, head

"""Who may do what in the editor: authors, editors, administrators, and the others."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from content.models import Asset, Editor, Page, Publication, Section
from content.publishing import publish
from tests.content import cast
from tests.content.editing import ADD, LIST, address, form_of, make_page, person, picture, texts

pytestmark = pytest.mark.django_db


def test_migrate_makes_the_three_groups_and_keeps_what_an_operator_added():
    """The groups are there by themselves; a second migrate gives nothing twice and takes nothing away."""
    author = Group.objects.get(name="author")
    author.permissions.add(Permission.objects.get(codename="view_submission"))
    author.permissions.remove(Permission.objects.get(codename="add_page"))
    call_command("migrate", verbosity=0)
    names = set(author.permissions.values_list("codename", flat=True))
    assert {"add_page", "change_page", "view_submission"} <= names and "publish_page" not in names
    assert Group.objects.get(name="administrator").permissions.count() == Permission.objects.count()


@pytest.mark.parametrize("button", ["_publish", "_unpublish"])
def test_an_author_who_asks_to_publish_is_refused_and_nothing_changes(button):
    """Refused by the server, whatever buttons were shown; the form is not even saved."""
    page, client = make_page(), person("author")
    publication = publish(page)
    form = form_of(client, address(page)) | {"title": "Sneaked in", button: ""}
    assert client.post(address(page), form).status_code == 403
    page = Page.objects.get()
    assert page.title == "Example page" and page.publication_id == publication.token and Publication.objects.count() == 1


def test_an_author_cannot_publish_a_new_page():
    """Neither at the moment of making it."""
    make_page()
    client = person("author")
    form = form_of(client, ADD) | {"title": "Sneaked in", "_publish": ""}
    assert client.post(ADD, form).status_code == 403
    assert not Page.objects.filter(title="Sneaked in").exists()


def test_an_author_cannot_publish_from_the_list():
    """The list's actions are not there for authors, and asking for one does nothing."""
    page, client = make_page(), person("author")
    client.post(LIST, {"action": "publish_selected", "_selected_action": [page.token]})
    assert not Publication.objects.exists()


def test_an_author_saves_a_draft_of_a_published_page_and_readers_see_no_change():
    """Drafts are open to authors everywhere; the public version is not."""
    page, client = make_page(), person("author")
    publication = publish(page)
    client.post(address(page), form_of(client, address(page)) | {"title": "Draft", "_save": ""})
    page.refresh_from_db()
    assert page.title == "Draft" and page.publication_id == publication.token
    publication.refresh_from_db()
    assert publication.title == "Example page"


def test_an_author_sees_no_publish_button():
    """What one may not do is not offered."""
    page = make_page()
    assert 'name="_publish"' not in person("author").get(address(page)).content.decode()
    assert 'name="_publish"' in person("editor").get(address(page)).content.decode()


def test_who_may_only_look_is_shown_the_page_as_readers_would_see_it():
    """No form, no buttons, no script: what stands in the blocks, and what is said about the page."""
    page, client = make_page(*texts(3)), looker()
    markup = client.get(address(page)).content.decode()
    shown = f"{address(page)}/preview"
    assert f'src="{shown}"' in markup and "Example page" in markup and "News" in markup
    assert not {name for name in form_of(client, address(page)) if name != "csrfmiddlewaretoken"}
    assert 'name="_save"' not in markup and "_preview" not in markup and "content/editor/index" not in markup
    assert all(text in client.get(shown).content.decode() for text in ("<p>0</p>", "<p>1</p>", "<p>2</p>"))


def test_who_may_only_look_writes_nothing_whatever_is_sent():
    """Neither by the form, nor in the preview, which shows what is stored."""
    page, client = make_page(*texts(1)), looker()
    form = form_of(person("author"), address(page)) | {"title": "Sneaked in", "richtext-0-html": "<p>Sneaked in</p>"}
    assert client.post(address(page), form).status_code == 403
    shown = client.post(f"{address(page)}/preview", form).content.decode()
    assert "Sneaked in" not in shown and "<p>0</p>" in shown and Page.objects.get().title == "Example page"


def looker() -> Client:
    """Return a browser of somebody who may look at pages and nothing else."""
    client = Client()
    client.force_login(cast.staff("view_page"))
    return client


@pytest.mark.parametrize(
    "name, author, editor, administrator",
    [
        ("content_section_add", 403, 200, 200),
        ("content_redirect_add", 403, 200, 200),
        ("content_asset_add", 200, 200, 200),
        ("content_editor_add", 403, 403, 200),
        ("content_editor_changelist", 403, 403, 200),
        ("auth_group_changelist", 403, 403, 200),
        ("content_submission_changelist", 403, 200, 200),
    ],
)
def test_each_group_opens_what_is_its_own(name, author, editor, administrator):
    """Editors look after sections and redirects, administrators after accounts."""
    expected = {"author": author, "editor": editor, "administrator": administrator}
    assert {group: person(group).get(reverse(f"admin:{name}")).status_code for group in expected} == expected


def test_an_author_deletes_no_page_and_an_editor_does():
    """Deleting takes a page from readers, so it belongs to editors."""
    page = make_page()
    assert person("author").post(address(page) + "/delete", {"post": "yes"}).status_code == 403
    assert Page.objects.exists()
    person("editor").post(address(page) + "/delete", {"post": "yes"})
    assert not Page.objects.exists()


def test_nobody_else_reads_or_previews_a_draft():
    """Without a log-in, or without a right to pages, there is neither page nor preview."""
    page = make_page()
    outsider = Client()
    outsider.force_login(Editor.objects.create(username="guest", is_staff=True))
    for where in (address(page), address(page) + "/preview", ADD + "/preview", LIST, reverse("admin:content_asset_choose")):
        assert Client().get(where).status_code == 302, where
        assert outsider.get(where).status_code == 403, where


def test_assets_are_uploaded_and_their_file_never_changes():
    """The library takes a file once; afterwards only its words are edited."""
    client = person("author")
    client.post(reverse("admin:content_asset_add"), {"file": picture("a_b.png"), "title": "", "alt": "A"})
    asset = Asset.objects.get()
    assert (asset.title, asset.alt, asset.width) == ("a b", "A", 8)
    where = reverse("admin:content_asset_change", args=[asset.token])
    client.post(where, {"title": "New", "alt": "A", "file": picture("c.png", "blue")})
    changed = Asset.objects.get()
    assert (changed.title, changed.digest, changed.filename) == ("New", asset.digest, asset.filename)


def test_pictures_are_chosen_by_words():
    """The chooser finds pictures by title, alternative text and file name, and no other files."""
    client = person("author")
    client.post(reverse("admin:content_asset_add"), {"file": picture("harbour.png"), "title": "", "alt": "boats"})
    found = [client.get(reverse("admin:content_asset_choose"), {"q": words}).json()["pictures"] for words in ("boat harb", "x")]
    assert [picture["title"] for picture in found[0]] == ["harbour"] and found[1] == []


def test_an_editor_makes_a_section_and_an_administrator_an_account():
    """The rest of the admin stores what its forms are given."""
    person("editor").post(reverse("admin:content_section_add"), {"title": "Guides", "description": "", "ordering": "0"})
    assert Section.objects.get().slug.startswith("guides-")
    group = Group.objects.get(name="author")
    fields = {"username": "new", "usable_password": "true", "password1": "a-Long-one-9", "password2": "a-Long-one-9"}
    response = person("administrator").post(
        reverse("admin:content_editor_add"), {**fields, "groups": [group.pk], "is_staff": "on"}
    )
    assert response.status_code == 302
    editor = Editor.objects.get(username="new")
    assert editor.is_staff and list(editor.groups.all()) == [group]

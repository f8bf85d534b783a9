"""Where the editor is, and that Django's own links lead there."""

import pytest
from django.urls import reverse

from content.admin.addresses import RESERVED
from content.models import Redirect
from content.publishing import publish
from sync.core.slug import make_slug
from sync.fields import new_token
from tests.content.editing import ADD, LIST, address, form_of, make_page, person

pytestmark = pytest.mark.django_db


def test_pages_are_listed_added_and_edited_at_the_promised_addresses():
    """The three addresses answer, with and without a slash at the end."""
    page, client = make_page(), person("editor")
    for where in (LIST, ADD, ADD + "/", address(page), address(page) + "/"):
        assert client.get(where).status_code == 200, where


def test_stock_names_reverse_to_the_editor():
    """Whatever links to a page by Django's names arrives at the content editor."""
    page = make_page()
    assert reverse("admin:content_page_changelist") == LIST
    assert reverse("admin:content_page_add") == ADD
    assert reverse("admin:content_page_change", args=[page.slug]) == address(page)
    assert reverse("admin:content_page_history", args=[page.slug]) == address(page) + "/history"


def test_an_address_by_key_leads_to_the_slug():
    """Django's own links name the key, and readers of the address bar see the slug."""
    page, client = make_page(), person("editor")
    response = client.get(reverse("admin:content_page_change", args=[page.token]))
    assert response.headers["Location"] == address(page)


def renewed(page, title="Another name"):
    """Give ``page`` a slug after ``title``, as somebody elsewhere would; return the address it had."""
    former = address(page)
    page.title = title
    page.renew_slug()
    page.save()
    return former


@pytest.mark.django_db(transaction=True)  # slugs are claimed when a transaction commits
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_former_address_leads_to_the_current_one(slash):
    """A bookmark of the editor goes on working after the slug was renewed."""
    page, client = make_page(), person("editor")
    response = client.get(renewed(page) + slash)
    assert (response.status_code, response.headers["Location"]) == (301, address(page))
    assert client.get(address(page)).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_an_open_form_is_saved_though_the_slug_was_renewed_meanwhile():
    """Nothing written is lost because somebody else renewed the address while the form was open."""
    page, client = make_page(), person("editor")
    form = form_of(client, address(page)) | {"summary": "Written meanwhile", "_save": ""}
    response = client.post(renewed(page), form)
    assert (response.status_code, response.headers["Location"]) == (302, address(page))
    page.refresh_from_db()
    assert page.summary == "Written meanwhile"


@pytest.mark.django_db(transaction=True)
def test_the_address_of_a_deleted_page_leads_back_with_a_message():
    """A claim outlives its page; the message names what was asked for."""
    page, client = make_page(), person("editor")
    former = renewed(page)
    page.delete()
    assert former.rpartition("/")[2] in client.get(former, follow=True).content.decode()


def test_history_and_delete_work_by_slug():
    """Views of Django that look a row up by its address find the page by its slug."""
    page, client = make_page(), person("editor")
    form = form_of(client, address(page)) | {"title": "Another title", "_save": ""}
    client.post(address(page), form)
    assert "Changed title" in client.get(address(page) + "/history").content.decode()
    client.post(address(page) + "/delete", {"post": "yes"})
    assert not type(page).objects.filter(token=page.token).exists()


def test_a_slug_with_underscores_and_digits_is_found():
    """Django unquotes addresses such as ``_41``; a slug is never mangled by that."""
    page = make_page(title="snake_41_case")
    assert "_41_" in page.slug
    assert person("editor").get(address(page)).status_code == 200


def test_an_unknown_slug_leads_back_with_a_message():
    """A wrong address is no error page."""
    response = person("editor").get(LIST + "nothing-00zz", follow=True)
    assert response.status_code == 200
    assert "nothing-00zz" in response.content.decode()


@pytest.mark.parametrize("word", RESERVED)
def test_no_slug_is_ever_a_reserved_word(word):
    """The editor's own words are safe, since each slug ends in a tag."""
    assert make_slug(word, new_token()) != word


def test_the_list_searches_and_filters():
    """Pages are found by words, section and state."""
    client = person("editor")
    draft, public, changed = (make_page(title=title) for title in ("Draft", "Public", "Changed"))
    publish(public)
    publish(changed)
    changed.summary = "another"
    changed.save()

    def titles(query):
        result = client.get(LIST + query).context["cl"].result_list
        return {page.title for page in result}

    assert titles("?q=publ") == {"Public"}
    assert titles("?state=draft") == {"Draft"}
    assert titles("?state=published") == {"Public", "Changed"}
    assert titles("?state=changed") == {"Changed"}
    assert titles(f"?section__token__exact={draft.section_id}") == {"Draft", "Public", "Changed"}


def test_a_page_is_listed_and_opened_though_its_section_and_publication_are_not_here():
    """What replication has not brought yet hides no page."""
    page, client = make_page(), person("editor")
    type(page).objects.filter(token=page.token).update(section_id=new_token(), publication_id=new_token())
    assert page.title in client.get(LIST).content.decode()
    assert client.get(address(page)).status_code == 200


@pytest.mark.parametrize("name", ["section", "asset", "redirect", "publication", "submission", "editor"])
def test_everything_else_has_its_place_in_the_admin(name):
    """Lists of all models open for an administrator."""
    page = make_page()
    publish(page)
    Redirect.objects.create(path="/old", page=page)
    assert person("administrator").get(reverse(f"admin:content_{name}_changelist")).status_code == 200


def test_nothing_that_was_published_or_sent_can_be_altered():
    """Publications and submissions are read only, even for administrators."""
    publication, client = publish(make_page()), person("administrator")
    where = reverse("admin:content_publication_change", args=[publication.token])
    assert client.get(where).status_code == 200
    assert client.post(where, {"title": "Other"}).status_code == 403
    assert client.get(reverse("admin:content_submission_add")).status_code == 403

"""What was typed into a form outlives the session in which it was opened."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from content.models import Editor, Page
from edgecms.problems import csrf_failure
from tests.content.editing import address, fields_of, form_of, make_page, person

pytestmark = pytest.mark.django_db

HERE = {"Origin": "http://testserver"}
TYPED = "Typed for an hour"


def strict(client: Client) -> Client:
    """Return a browser with the session of ``client`` whose forms have to bring their token."""
    guarded = Client(enforce_csrf_checks=True)
    guarded.cookies = client.cookies
    return guarded


def send(client: Client, form: dict[str, Any], **headers: str) -> Any:
    """Send the form of the page as a browser would."""
    return client.post(address(Page.objects.get()), form, headers=headers or HERE)


def log_in(client: Client) -> None:
    """Log in anew, as in another tab."""
    client.force_login(Editor.objects.get(username="author"))
    client.get(address(Page.objects.get()))


def test_who_was_logged_out_while_typing_logs_in_and_sends_it_again():
    """The answer holds all of it; after the login it is sent once more, and stored."""
    make_page()
    client = strict(person("author"))
    form = form_of(client, address(Page.objects.get())) | {"title": TYPED, "_save": ""}
    del client.cookies[settings.SESSION_COOKIE_NAME]
    answer = send(client, form)
    markup = answer.content.decode()
    assert answer.status_code == 403 and "not logged in" in markup and 'href="/admin/login/"' in markup
    kept = fields_of(markup, None)
    log_in(client)
    assert send(client, kept).status_code == 302
    assert Page.objects.get().title == TYPED


def test_a_form_that_was_opened_before_another_login_is_sent_again():
    """Its token is of the session before; the page that says so has one of now."""
    make_page()
    client = strict(person("author"))
    form = form_of(client, address(Page.objects.get())) | {"title": TYPED, "_save": ""}
    client.cookies.clear()
    log_in(client)
    refused = send(client, form)
    assert refused.status_code == 403 and Page.objects.get().title != TYPED
    assert send(client, fields_of(refused.content.decode(), None)).status_code == 302
    assert Page.objects.get().title == TYPED


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://testserver"},
        {"Origin": "null"},
        {"Referer": "http://testserver/"},
    ],
)
def test_what_another_site_has_sent_is_not_handed_back(headers):
    """Or the answer would be a form of ours with its content, and sending that would do what it wants."""
    make_page()
    client = strict(person("author"))
    form = form_of(client, address(Page.objects.get())) | {"title": TYPED, "csrfmiddlewaretoken": "forged", "_save": ""}
    refused = send(client, form, **headers)
    markup = refused.content.decode()
    assert refused.status_code == 403 and TYPED not in markup and "<form" not in markup and Page.objects.get().title != TYPED


def test_a_password_is_not_handed_back(client):
    """A login whose form was too old is typed again."""
    refused = strict(client).post("/admin/login/", {"username": "ada", "password": "secret"}, headers=HERE)
    assert refused.status_code == 403 and "secret" not in refused.content.decode() and "<form" not in refused.content.decode()


def test_programs_are_told_by_a_problem():
    """Also where a view leaves it to Django to look at the token."""
    refused = csrf_failure(RequestFactory().post("/api/v1/pages/"), "No token.")
    assert refused.status_code == 403 and b'"csrf_failed"' in refused.content

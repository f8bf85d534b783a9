"""Promises of the admin around the editor: every door that somebody is shown opens for him."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.staticfiles import finders
from django.test import Client, RequestFactory
from django.urls import reverse

from content.models import Redirect, Submission
from edgecms.problems import server_problem
from tests.content import cast
from tests.content.editing import address, person

pytestmark = pytest.mark.django_db
LINK = re.compile(r'href="(/admin/[^"#?]*)"')
OUT = ("/admin/logout/", "/admin/jsi18n/")


@pytest.mark.parametrize("group", ["author", "editor", "administrator"])
def test_every_link_of_the_admin_opens(group):
    """Index, lists, forms, histories and deletions of every model open for author, editor and administrator."""
    page = cast.published(image=cast.asset())
    Redirect.objects.create(path="/old", page=page)
    Submission.objects.create(form="contact", data={"name": "Ada"}, idempotency_key="1")
    client, seen, waiting = person(group), set(), ["/admin/"]
    while waiting:
        address = waiting.pop()
        seen.add(address)
        response = client.get(address)
        assert response.status_code in (200, 301, 302), f"{address} answered {response.status_code}"
        if response.status_code == 200 and not response.streaming:
            found = LINK.findall(response.content.decode())
        else:
            found = [response.headers.get("Location", "")]
        waiting += {link for link in found if link.startswith("/admin/") and link not in OUT} - seen - set(waiting)
    assert f"/admin/content-editor/page/{page.slug}" in seen
    assert (reverse("admin:content_editor_changelist") in seen) == (group == "administrator")


def test_the_administrator_is_shown_every_model():
    """Whatever is registered stands on the administrator's index."""
    html = person("administrator").get("/admin/").content.decode()
    for model in admin.site._registry:
        assert reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") in html
    assert Group in admin.site._registry


def assert_is_for_people(response, status, text):
    """See that ``response`` is a page of this site, with a style that the policy lets through, and a way on."""
    html = response.content.decode()
    assert response.status_code == status and text in html
    assert "<style" not in html and " style=" not in html
    [style] = re.findall(r'<link rel="stylesheet" href="/static/([^"]+)">', html)
    assert finders.find(style)
    assert re.search(r'<a href="/(admin/)?">', html) and 'name="viewport"' in html


def test_whoever_may_not_do_something_is_told_who_can_permit_it():
    """A page that says so in the style of this site, with the way back, and with the reason where there is one."""
    client = person("author")
    where = reverse("admin:content_editor_changelist")
    assert_is_for_people(client.get(where), 403, "Your account may not do this")
    assert "administrator" in client.get(where).content.decode()
    refused = client.post(address(cast.published()), {"_publish": "1"})
    assert_is_for_people(refused, 403, "Only editors publish. Save a draft and ask one of them.")


def test_what_cannot_be_read_and_what_fails_is_answered_by_a_page(django_assert_num_queries):
    """A wrong Host, and a mistake of the program; the latter needs neither database nor session."""
    assert_is_for_people(Client().get("/admin/", headers={"Host": "elsewhere.example"}), 400, "cannot be read")
    with django_assert_num_queries(0):
        assert_is_for_people(server_problem(RequestFactory().get("/admin/")), 500, "Something went wrong")

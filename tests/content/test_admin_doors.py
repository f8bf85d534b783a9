"""Promises of the admin around the editor: every door that somebody is shown opens for him."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from content.models import Redirect, Submission
from tests.content import cast
from tests.content.editing import person

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

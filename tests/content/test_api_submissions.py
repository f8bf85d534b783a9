"""Promises of ``/api/v1/submissions/``: taken once, with a receipt, within bounds."""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.test import Client

from content.api.submissions import SubmissionThrottle, is_proxy
from content.models import Submission
from tests.content import cast

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/submissions/"
LETTER: dict[str, Any] = {"form": "contact", "data": {"name": "Ada"}, "idempotency_key": "k-1"}


@pytest.fixture(autouse=True)
def no_throttling_left() -> None:
    cache.clear()


def post(client: Client, body: Any) -> Any:
    return client.post(ADDRESS, body, content_type="application/json")


def test_visitor_gets_a_receipt(client: Client, settings: Any) -> None:
    """What a visitor sends is kept under the farm of this replica, and the receipt names it."""
    settings.SYNC = {**settings.SYNC, "FARM": "thames"}
    page = cast.published()
    answer = post(client, {**LETTER, "page": page.token})
    row = Submission.objects.get()
    assert answer.status_code == 201 and set(answer.json()) == {"token", "created"}
    assert (answer.json()["token"], row.farm, row.page_id, row.data) == (row.token, "thames", page.token, {"name": "Ada"})


def test_same_key_again_gets_the_same_receipt(client: Client) -> None:
    """Sent twice, kept once."""
    first, second = post(client, LETTER), post(client, LETTER)
    assert (first.status_code, second.status_code) == (201, 200) and first.json() == second.json()
    assert Submission.objects.count() == 1


def test_same_key_with_something_else_is_refused(client: Client) -> None:
    """A key used before for something else gives 409: no receipt for what was not kept."""
    post(client, LETTER)
    answer = post(client, {**LETTER, "data": {"name": "Grace"}})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    "change",
    [
        {"farm": "other"},
        {"surprise": 1},
        {"page": "nowhere"},
        {"data": "text"},
        {"data": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}},
        {"data": {str(number): 1 for number in range(201)}},
        {"data": {"a": "\0"}},
        {"data": {"a": 2**70}},
        {"idempotency_key": ""},
        {"form": "\0"},
    ],
)
def test_what_is_out_of_bounds_is_refused(client: Client, change: dict[str, Any]) -> None:
    """Unknown or reserved fields, pages that are not public, and data too deep, too wide or unstorable give 400."""
    answer = post(client, {**LETTER, **change})
    assert answer.status_code == 400 and answer.json()["code"] == "invalid"
    assert not Submission.objects.exists()


def test_data_is_told_the_bound_that_it_has(client: Client) -> None:
    """Five levels are taken, six are not, and the answer says five."""
    right = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    assert post(client, {**LETTER, "data": right}).status_code == 201
    answer = post(client, {**LETTER, "data": {"z": right}})
    assert answer.status_code == 400 and "nested 5 deep" in answer.json()["detail"]


def test_draft_cannot_be_written_to(client: Client) -> None:
    """A page that is not public takes no submissions, and does not betray that it exists."""
    draft, nothing = (post(client, {**LETTER, "page": token}).json()["errors"] for token in (cast.draft().token, "nothing"))
    assert draft == nothing


def test_large_body_is_refused_unread(client: Client) -> None:
    """More than 64 KB gives 413."""
    assert post(client, {**LETTER, "data": {"a": "x" * 70_000}}).status_code == 413


def test_one_address_cannot_flood(client: Client) -> None:
    """The thirty-first submission within a minute is told to wait."""
    answers = [post(client, {**LETTER, "idempotency_key": f"k-{number}"}) for number in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {201}
    assert answers[30].status_code == 429 and answers[30]["Retry-After"] and answers[30].json()["code"] == "throttled"


@pytest.mark.parametrize(
    ("remote", "told", "counted"),
    [
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),  # by nginx on this machine
        ("127.0.0.1", "a lie, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.5", "198.51.100.7", "203.0.113.5"),  # by the visitor himself
        ("203.0.113.5", "", "203.0.113.5"),
        ("", "198.51.100.7", "198.51.100.7"),  # over a Unix socket
    ],
)
def test_nobody_escapes_the_bound_by_a_header(remote: str, told: str, counted: str, rf: Any) -> None:
    """The address counts that the connection has, or that a proxy on this machine has written last."""
    request = rf.post(ADDRESS, REMOTE_ADDR=remote, **({"HTTP_X_FORWARDED_FOR": told} if told else {}))
    assert SubmissionThrottle().get_ident(request) == counted


@pytest.mark.parametrize(
    ("proxies", "remote", "is_believed"),
    [("10.0.0.1, 10.0.0.2", "10.0.0.2", True), ("10.0.0.0/8", "10.9.9.9", True), ("10.0.0.0/8", "11.0.0.1", False), ("*", "11.0.0.1", True),
     ("10.0.0.1", "2001:db8::1", False), ("2001:db8::/32", "2001:db8::1", True), ("", "127.0.0.1", False), ("nonsense", "1.2.3.4", False)],
)  # fmt: skip
def test_proxies_are_named_as_gunicorn_has_them(proxies: str, remote: str, is_believed: bool, settings: Any) -> None:
    """Addresses and networks, with blanks around them."""
    settings.TRUSTED_PROXIES = proxies.split(",")
    assert is_proxy(remote) is is_believed


def test_a_damaged_count_begins_anew(client: Client) -> None:
    """It lets what just came pass, and counts from then on."""
    post(client, LETTER)
    for file in Path(caches["default"]._dir).glob("*.djcache"):
        file.write_bytes(b"\x00" * 50)
    answers = [post(client, {**LETTER, "idempotency_key": f"k-{number}"}).status_code for number in range(33)]
    assert 429 in answers


def test_only_staff_with_permission_read(client: Client) -> None:
    """What visitors sent is read by staff who may view submissions, and by nobody else."""
    token = post(client, LETTER).json()["token"]
    for address in (ADDRESS, f"{ADDRESS}{token}/"):
        assert client.get(address).status_code == 401
    client.force_login(cast.staff(username="ada"))
    assert client.get(ADDRESS).status_code == 403
    client.force_login(cast.staff("view_submission"))
    assert client.get(ADDRESS, {"form": "contact"}).json()["results"][0]["data"] == {"name": "Ada"}
    assert client.get(ADDRESS, {"form": "other"}).json()["count"] == 0


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_submissions_are_append_only(client: Client, method: str) -> None:
    """Nobody changes what was sent."""
    token = post(client, LETTER).json()["token"]
    client.force_login(cast.staff("change_submission", "delete_submission"))
    assert getattr(client, method)(f"{ADDRESS}{token}/").status_code == 405

"""Promises of the API as a whole: described, and failing in one way."""

from typing import Any

import pytest
from django.test import Client

from tests.content import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    return client.get("/api/schema?format=json").json()


def test_schema_is_openapi_3_1_and_names_every_resource(schema: dict[str, Any]) -> None:
    """The description covers all five resources, and nothing of the protocol between replicas."""
    assert schema["openapi"].startswith("3.1")
    assert {path.split("/")[3] for path in schema["paths"]} == {"sections", "pages", "assets", "submissions", "search"}


def test_every_operation_says_how_it_fails(schema: dict[str, Any]) -> None:
    """Each operation documents its problems."""
    for path in schema["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_docs_load_nothing_from_elsewhere(client: Client) -> None:
    """The page of the API has its own scripts and styles, none of them inline."""
    html = client.get("/api/docs").content.decode()
    assert "https://" not in html and "<style" not in html and html.count("<script src=") == 3
    for address in [part.split('"')[0] for part in html.split('src="')[1:]]:
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("get", "/api/v1/nothing", 404, "not_found"),
        ("get", "/api/", 404, "not_found"),
        ("get", "/api/v1/pages/nothing/", 404, "not_found"),
        ("get", "/api/v1/pages/%00/", 404, "not_found"),
        ("get", "/api/v1/search/", 400, "invalid"),
        ("post", "/api/v1/search/", 405, "method_not_allowed"),
        ("post", "/api/v1/pages/", 401, "not_authenticated"),
        ("delete", "/api/v1/pages/x/", 401, "not_authenticated"),
        ("put", "/api/v1/submissions/", 405, "method_not_allowed"),
        ("post", "/api/schema", 405, "method_not_allowed"),
        ("post", "/api/docs", 405, "method_not_allowed"),
        ("get", "/sync/v1/nothing", 404, "not_found"),
        ("get", "/sync/", 404, "not_found"),
        ("post", "/sync/v1/blobs/xyz", 404, "not_found"),
    ],
)
def test_every_failure_is_a_problem(method: str, address: str, status: int, code: str) -> None:
    """Whatever fails under /api/ and /sync/ answers with application/problem+json and a stable code."""
    answer = getattr(Client(enforce_csrf_checks=True), method)(address)
    problem = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["title"] and problem["detail"] and problem["type"].endswith(code)


def test_failure_is_json_whatever_the_client_accepts(client: Client) -> None:
    """Where nothing that can be said is accepted, the refusal is a problem like any other."""
    answer = client.get("/api/schema", headers={"Accept": "image/png"})
    assert (answer.status_code, answer["Content-Type"]) == (406, "application/problem+json")
    assert answer.json()["code"] == "not_acceptable"


@pytest.mark.parametrize("address", ["/api/v1/pages/", "/sync/v1/hello"])
def test_wrong_host_is_a_problem(client: Client, settings: Any, address: str) -> None:
    """A request for a host that is not served gets a problem under both APIs, and a page for people elsewhere."""
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = client.get(address, headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "host_not_allowed"
    assert client.get("/", headers={"Host": "elsewhere.example"})["Content-Type"].startswith("text/html")


def test_root_leads_everywhere(client: Client) -> None:
    """The root lists the address of every resource and of their description, and each of them is there."""
    root = client.get("/api/v1/").json()
    assert root == client.get("/api/v1").json()
    assert list(root) == ["sections", "pages", "assets", "submissions", "search", "schema", "docs"]
    assert all(client.get(address).status_code not in (301, 404) for address in root.values())


def test_fault_of_ours_is_a_problem_without_secrets(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server itself fails, programs get a problem that tells nothing of the inside."""

    def fail(query: str) -> None:
        raise RuntimeError("password is swordfish")

    monkeypatch.setattr("content.api.search.search", fail)
    client.raise_request_exception = False
    answer = client.get("/api/v1/search/?q=x")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error") and b"swordfish" not in answer.content


def test_search_answers_with_pages_and_passages(client: Client) -> None:
    """A search gives pages as lists do, with the text around the word."""
    page = cast.published(html="<p>Nobody counted the herring.</p>")
    hit = client.get("/api/v1/search?q=herring").json()["results"][0]
    assert hit["page"]["token"] == page.token and "herring" in hit["passage"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_slash_at_the_end_may_be_left_out(client: Client, slash: str) -> None:
    """Every address works with and without its slash."""
    for name in ("sections", "pages"):
        assert client.get(f"/api/v1/{name}{slash}").status_code == 200

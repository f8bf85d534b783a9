"""A client written from docs/sync-protocol.md takes part in a cluster of real replicas as an edge among edges."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.cluster.harness import Cluster, Replica
from tests.protocol import rows
from tests.protocol.changesets import Changeset, Draft, pack
from tests.protocol.client import STREAM, Client, Peer, Refused
from tests.protocol.page import TOP

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# What a site goes through: many transactions, a title changed twice, a tag taken away, a page deleted, a block deleted.
HISTORY = """
from django.db import transaction
from content.models import Block, Page, Section
for number in range(600):
    Section.objects.create(title=f"Section {number}")
pages = list(Page.objects.order_by("token"))
for title in ("First new title", "Second new title"):
    page = Page.objects.get(pk=pages[0].pk)
    page.title = title
    page.save()
page = Page.objects.exclude(tags=[]).first()
page.tags = page.tags[1:] + ["tide"]
page.save()
with transaction.atomic():
    pages[1].delete()
Block.objects.filter(parent=pages[2]).first().delete()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master with content, an edge of a farm that has pulled nothing yet, one of another farm."""
    with Cluster(tmp_path_factory.mktemp("protocol")) as cluster:
        cluster.add("MASTER01", "master")
        cluster.add("EDGE01", "edge", farm="thames")
        cluster.introduce()
        root = cluster.replicas[0]
        root.must("import_pages", str(TOP / "content" / "samples" / "18f"))
        root.must("shell", "-c", HISTORY)
        cluster.start(workers=False)
        yield cluster


@pytest.fixture(scope="module")
def master(cluster: Cluster) -> Replica:
    """The running master."""
    return cluster.replicas[0]


@pytest.fixture(scope="module")
def sibling(cluster: Cluster) -> Replica:
    """A running edge of the client's farm, whose list is empty until it pulls."""
    return cluster.replicas[1]


@pytest.fixture(scope="module")
def client(master: Replica) -> Client:
    """The client, which the master has put on the trusted list, and which has pulled once."""
    client = Client("EDGE09-LON", "thames", master.name, str(master.command("sync_identity")["key"]))
    with pytest.raises(Refused) as refusal:
        client.pull(peer(master))
    assert (refusal.value.status, refusal.value.code) == (403, "replica_unknown")
    entered = master.command("sync_trust", client.name, "--role", "edge", "--farm", "thames", "--key", client.key_text)
    assert entered["result"] == "entered"
    assert client.pull(peer(master))
    return client


def peer(replica: Replica) -> Peer:
    """A replica as the client reaches it."""
    return Peer(replica.name, replica.base)


def pages_of(replica: Replica) -> dict[str, str]:
    """Return token -> title of all pages, drafts included, by the REST API."""
    with contextlib.closing(replica.login()) as browser:
        results: list[dict[str, Any]] = []
        address = "/api/v1/pages/?draft=1&limit=100"
        while address:
            answer = browser.get(address).json()
            results += answer["results"]
            address = answer["next"]
    return {page["token"]: page["title"] for page in results}


def titles(client: Client) -> dict[str, str]:
    """Return token -> title of all pages, by the register rules."""
    found = rows.rows(client.store.counting())
    return {token: row.field("title") for token, row in rows.alive(found, "content.page").items()}


def test_client_finds_what_the_master_has(client: Client, master: Replica) -> None:
    """Every changeset and value is verified, and the rows that follow are those of the master's API."""
    assert not client.store.refused
    for changeset in client.store.held.values():
        assert changeset.is_signed_by(str(client.store.key_of(changeset)))
        assert not changeset.lacking()
    assert titles(client) == pages_of(master)
    assert "Second new title" in titles(client).values()


def test_client_and_master_agree_on_summary_and_digest(client: Client, master: Replica) -> None:
    """Summary and digest, computed from the page alone, are those that the master tells."""
    hello = client.ask(peer(master), "GET", f"hello?summary={client.store.summary()}")
    assert (hello["protocol"], hello["name"], hello["role"]) == (1, master.name, "master")
    assert hello["summary"] == client.store.summary()
    assert hello["digest"] == rows.digest(client.store.counting())


def test_the_master_signs_its_time(client: Client, master: Replica) -> None:
    """Together with the question, so that no old answer can be sent again; without a question there is no signature."""
    question = secrets.token_hex(16)
    hello = client.ask(peer(master), "GET", f"hello?challenge={question}")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(hello["key"].removeprefix("ed25519:")))
    signature = base64.b64decode(hello["time_signature"])
    key.verify(signature, f"edgecms time 1\n{master.name} {question} {hello['time']}".encode())
    assert abs(hello["time"] - time.time() * 1000) < 60_000
    assert "time_signature" not in client.ask(peer(master), "GET", "hello?challenge=short")


def test_client_and_master_agree_on_the_sum_of_all_rows(client: Client, master: Replica) -> None:
    """A comparison finds them equal by one sum, computed from the page alone; a range with another sum is cut, and rows are shown."""

    def ask(**body: Any) -> dict[str, Any]:
        return client.ask(peer(master), "POST", "verify", json.dumps(body).encode())

    models = {"content.section": ["title"]}
    assert set(ask()["models"]) > set(models)
    found = rows.rows(client.store.counting())
    shown = {token: [row.field("title")] for token, row in rows.alive(found, "content.section").items()}
    terms = {key: rows.term(*key, row, shown.get(key[1])) for key, row in found.items()}
    total = f"{sum(int(term, 16) for term in terms.values()) % (1 << 256):064x}"
    (same, cut) = ask(models=models, ranges=[["", None, total], ["", None, "0" * 64]])["ranges"]
    assert same is None and len(cut["cuts"]) >= 15
    (few,) = ask(models=models, ranges=[["", "21", ""]])["ranges"]
    assert few["terms"] == []
    token = next(iter(shown))
    (row,) = ask(models=models, rows=[["content.section", token]])["rows"]
    assert row["projected"] and row["row"] == {"title": shown[token][0]}


def test_sets_and_maps_are_those_of_the_master(client: Client, master: Replica) -> None:
    """Tags, a set, and the data of blocks, a map, follow from their registers element by element."""
    found = rows.rows(client.store.counting())
    pages, blocks = rows.alive(found, "content.page"), rows.alive(found, "content.block")
    code = (
        "import json; from content.models import Block, Page; print(json.dumps([dict(Page.objects.values_list('token', 'tags')),"
        " dict(Block.objects.values_list('token', 'data'))]))"
    )
    tags, data = json.loads(master.manage("shell", "-c", code).stdout.splitlines()[-1])
    assert {token: row.elements("tags") for token, row in pages.items()} == tags
    assert {token: row.mapping("data") for token, row in blocks.items()} == data


@pytest.mark.parametrize("share", [0.0, 0.17, 0.5, 0.83, 0.999])
def test_cut_pull_goes_on_where_it_stopped(client: Client, master: Replica, share: float) -> None:
    """Cut at any byte, a pull keeps its whole frames, and the next one brings the rest and nothing twice."""
    fresh = newcomer(client)
    size = len(fresh.open(peer(master), "POST", "pull", b'{"have":[]}').read())
    assert not fresh.pull(peer(master), cut=max(1, int(size * share)))
    kept = set(fresh.store.held)
    assert bool(kept) == (share > 0.4), "the stream has several frames, and what came whole is kept"
    rest = fresh.open(peer(master), "POST", "pull", json.dumps({"have": fresh.store.tips()}).encode()).read()
    # The first line tells the time, so that two answers of the same changesets differ by a few bytes.
    assert len(rest) < size - 100 if kept else abs(len(rest) - size) < 100
    assert fresh.pull(peer(master))
    assert fresh.store.summary() == client.store.summary()
    assert not fresh.store.refused


def newcomer(client: Client) -> Client:
    """The client with an empty store."""
    fresh = Client(client.name, "thames", client.store.root, client.store.pinned["open"]["key"])
    fresh.key = client.key
    return fresh


def test_blob_is_fetched_in_pieces(client: Client, master: Replica) -> None:
    """A blob that an asset names comes from any offset on, and its digest is its name."""
    assets = rows.alive(rows.rows(client.store.counting()), "content.asset")
    digest = next(iter(assets.values())).field("digest")
    whole, size = client.fetch(peer(master), digest)
    rest, same = client.fetch(peer(master), digest, offset=size // 2)
    assert hashlib.sha256(whole).hexdigest() == digest
    assert (rest, same) == (whole[size // 2 :], len(whole))
    for path, expected in (
        (f"blobs/{digest}?offset={size + 1}", (400, "malformed")),
        (f"blobs/{digest}?offset=-1", (400, "malformed")),
        (f"blobs/{'0' * 64}", (404, "blob_absent")),
    ):
        assert refusal(client, peer(master), "GET", path) == expected


def refusal(client: Client, to: Peer, method: str, path: str, body: bytes = b"", **altered: Any) -> tuple[int, str]:
    """Return status and code of a request that is refused, and check the form of the refusal."""
    response = client.send(to, method, path, body, STREAM, **altered)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert ("WWW-Authenticate" in response.headers) == (response.status == 401)
    problem = json.loads(response.read())
    assert problem["status"] == response.status and problem["detail"]
    return response.status, problem["code"]


def test_master_refuses_what_the_page_says(client: Client, master: Replica) -> None:
    """Every refusal of a request has its status and code, and nothing is stored by any of them."""
    to, before = peer(master), client.ask(peer(master), "GET", "tips")["tips"]
    stranger, nonce = Ed25519PrivateKey.generate(), secrets.token_urlsafe(18)
    body = pack(client.store.held.values())
    assert refusal(client, to, "POST", "push", body) == (403, "not_allowed")
    assert refusal(client, to, "PUT", f"blobs/{'0' * 64}?offset=0&total=1", b"x") == (403, "not_allowed")
    assert refusal(client, to, "GET", "hello", audience="EDGE01-LON") == (401, "wrong_audience")
    assert refusal(client, to, "GET", "hello", sender="EDGE08-LON") == (403, "replica_unknown")
    assert refusal(client, to, "GET", "hello", key=stranger) == (403, "key_unknown")
    assert refusal(client, to, "POST", "pull", b"{}", body_sent=b"[]") == (401, "signature_invalid")
    assert refusal(client, to, "POST", "pull", b"[") == (400, "malformed")
    assert refusal(client, to, "POST", "pull", b'{"have":[[1]]}') == (400, "malformed")
    assert client.send(to, "GET", "hello", b"", STREAM, nonce=nonce).status == 200
    assert refusal(client, to, "GET", "hello", nonce=nonce) == (401, "signature_replayed")
    assert refusal(client, Peer(to.name, to.url, offset=-1000), "GET", "hello") == (401, "signature_stale")
    assert master.get("/sync/v1/hello").json()["code"] == "signature_missing"
    assert client.ask(to, "GET", "tips")["tips"] == before


def test_wrong_clock_is_put_right_by_the_answer(client: Client, master: Replica) -> None:
    """A sender whose clock is off signs again by the time that it is told."""
    late = Peer(master.name, master.base, offset=-5000)
    assert client.ask(late, "GET", "hello")["name"] == master.name
    assert abs(late.offset) <= 2


def test_client_comes_in_by_an_invitation(client: Client, master: Replica) -> None:
    """The code alone tells another client whom to ask and whom to trust; a second one cannot come in by it."""
    code = str(master.command("sync_invite", "--role", "edge", "--farm", "thames")["code"])
    other = Client.invited("EDGE10-LON", code)
    assert other.pull(peer(master))
    assert not other.store.refused
    assert titles(other) == pages_of(master)
    with pytest.raises(Refused) as late:
        Client.invited("EDGE11-LON", code)
    assert (late.value.status, late.value.code) == (403, "invite_invalid")
    with pytest.raises(Refused) as taken:
        again = str(master.command("sync_invite", "--role", "edge", "--farm", "thames")["code"])
        Client.invited(client.name, again)
    assert (taken.value.status, taken.value.code) == (403, "name_taken")
    assert client.pull(peer(master)), "the client itself is still trusted"


@pytest.fixture(scope="module")
def token(client: Client, sibling: Replica) -> str:
    """The token of a page that the client has made and pushed to its sibling, once that has learned of it."""
    with pytest.raises(Refused) as refused:
        client.push(peer(sibling))
    assert refused.value.code == "replica_unknown", "the sibling has not pulled the list yet"
    sibling.command("sync_pull")
    draft, token = Draft(), f"{client.name}-17QX-7K2M9QXV-{time.strftime('%d%m%y%H%M%S', time.gmtime())}"
    draft.ops.append(["content.page", token, new_page(client, draft)])
    client.write(draft)
    answer = client.push(peer(sibling))
    assert answer == {**answer, "received": 1, "applied": 1, "quarantined": 0, "held": 0, "refused": {}}
    return token


def new_page(client: Client, draft: Draft) -> list[Any]:
    """Return the writes of a new page: every field."""
    section = next(iter(rows.alive(rows.rows(client.store.counting()), "content.section")))
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    texts = ("seo_title", "seo_description", "source", "source_digest")
    return [
        draft.write("title", "Low tide"),
        draft.write("slug", "low-tide-17qx"),
        draft.write("section_id", section),
        draft.write("summary", "Where the river is at its lowest at noon, the old stairs come up for an hour."),
        draft.write("tags", True, element="river"),
        draft.write("authors", ["Alice"]),
        draft.write("image_id", None),
        draft.write("publication_id", None),
        draft.write("hidden_from_search", False),
        *(draft.write(name, "") for name in texts),
        *(draft.write(name, now) for name in ("date", "created")),
        draft.write("updated", now, latest=True),
    ]


def test_page_of_the_client_appears_at_its_sibling(client: Client, sibling: Replica, token: str) -> None:
    """What the client has signed and pushed is a row of the sibling, as the client itself derives it."""
    assert pages_of(sibling)[token] == "Low tide"
    assert pages_of(sibling) == titles(client)
    assert client.ask(peer(sibling), "GET", "hello")["digest"] == rows.digest(client.store.counting())
    assert client.push(peer(sibling))["received"] == 0, "once there, nothing is lacking"


def test_page_of_the_client_reaches_the_master_by_its_sibling(
    client: Client, master: Replica, sibling: Replica, token: str
) -> None:
    """The master, which never talks to the client, pulls its page from the sibling, under the client's own signature."""
    (result,) = master.command("sync_pull", sibling.name)["peers"]
    assert (result["ok"], result["applied"]) == (True, 1)
    assert pages_of(master)[token] == "Low tide"
    assert master.command("sync_status")["quarantined"] == 0
    assert client.store.summary() == client.ask(peer(master), "GET", "hello")["summary"]


def test_two_titles_at_once_show_the_same_one_everywhere(client: Client, sibling: Replica, token: str) -> None:
    """A title written at both places at once has two heads at both, and both show the same."""
    change = f"from content.models import Page; page = Page.objects.get(pk={token!r}); page.title = 'High tide'; page.save()"
    sibling.must("shell", "-c", change)
    row, draft = rows.rows(client.store.counting())["content.page", token], Draft()
    draft.ops.append(["content.page", token, [draft.write("title", "Ebb tide", over=row.heads(("title", None)))]])
    client.write(draft)
    assert client.push(peer(sibling))["applied"] == 1
    assert client.pull(peer(sibling))
    row = rows.rows(client.store.counting())["content.page", token]
    assert sorted(row.siblings(("title", None))) == ["Ebb tide", "High tide"]
    assert pages_of(sibling)[token] == titles(client)[token] == row.siblings(("title", None))[0]
    assert client.ask(peer(sibling), "GET", "hello")["digest"] == rows.digest(client.store.counting())


def test_value_that_is_kept_back_is_wanted_until_it_comes(client: Client, sibling: Replica, token: str) -> None:
    """The sibling takes the head, says which value it wants, shows nothing else meanwhile, and shows it when it is handed over."""
    to = peer(sibling)
    draft, text = Draft(), "The tide tables of the whole year, which nobody can read without having seen the river once."
    row = rows.rows(client.store.counting())["content.page", token]
    draft.ops.append(["content.page", token, [draft.write("title", text, over=row.heads(("title", None)))]])
    made = client.write(draft)
    (digest,) = made.values
    answer = client.ask(to, "POST", "push", pack([Changeset(made.raw, made.signature)]), STREAM)
    assert (answer["applied"], answer["refused"], answer["values_missing"]) == (1, {}, [[made.dot, digest]])
    assert pages_of(sibling)[token] in row.siblings(("title", None))
    assert client.ask(to, "GET", "hello")["digest"] == rows.digest(client.store.counting()), "absence is no difference of state"
    assert client.ask(to, "GET", "tips")["values_missing"] == [[made.dot, digest]]
    assert client.fetch_values(to, [[made.dot, digest]]) == {}
    assert client.hand_over_values(to, [b'"another text"'])["values_missing"] == [[made.dot, digest]]
    assert client.hand_over_values(to, made.values.values())["values_missing"] == []
    assert pages_of(sibling)[token] == text
    assert client.fetch_values(to, [[made.dot, digest]]) == dict(made.values)


def test_bad_changesets_are_refused_one_by_one(client: Client, sibling: Replica, token: str) -> None:
    """Each mistake has its code, stops nothing else in the body, and leaves nothing behind."""
    to, before = peer(sibling), client.ask(peer(sibling), "GET", "tips")["tips"]
    last = client.store.chain_end((client.name, client.incarnation, "all"))
    assert last
    common = {"name": client.name, "incarnation": client.incarnation, "scope": "all", "author": "", "schema": "1"}
    head = {**common, "seq": last.head["seq"] + 1, "prev": last.dot, "clock": [last.head["clock"][0] + 1, 0]}
    beside = Draft()
    beside.ops.append(["content.page", token, [beside.write("title", {"no": "title"})]])
    whole = beside.sign(client.key, **{**head, "scope": "trust", "seq": 1, "prev": None})
    wrong = {
        "bad_signature": Draft().sign(Ed25519PrivateKey.generate(), **head),
        "previous_missing": Draft().sign(client.key, **{**head, "prev": "0" * 32}),
        "clock_not_growing": Draft().sign(client.key, **{**head, "clock": last.head["clock"]}),
        "origin_unknown": Draft().sign(client.key, **{**head, "name": "EDGE08-LON"}),
        "scope_not_entitled": Draft().sign(client.key, **{**head, "scope": "farm:severn"}),
        "value_missing": Changeset(whole.raw, whole.signature),
    }
    answer = client.ask(to, "POST", "push", pack(wrong.values()), STREAM)
    assert answer["refused"] == dict.fromkeys(wrong, 1)
    for body, expected in (
        (b"no frame", "malformed"),
        (pack(wrong.values())[:-9], "incomplete_stream"),
        (pack([Draft().sign(client.key, **{**head, "incarnation": "../etc"})]), "malformed"),
        (pack([Draft().sign(client.key, **{**head, "seq": 1 << 60})]), "malformed"),
    ):
        assert refusal(client, to, "POST", "push", body) == (400, expected)
    assert client.ask(to, "GET", "tips")["tips"] == before


def test_blob_of_the_client_is_taken_in_pieces(client: Client, sibling: Replica, token: str) -> None:
    """A blob is wanted once a row names it, is handed over in pieces, and is served only when it is whole."""
    to, content = peer(sibling), secrets.token_bytes(3000)
    digest = hashlib.sha256(content).hexdigest()
    assert refusal(client, to, "PUT", f"blobs/{digest}?offset=0&total=3000", content) == (409, "blob_not_wanted")
    draft, now = Draft(), time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    fields = {"title": "Stairs", "alt": "", "filename": "stairs.bin", "digest": digest, "size": 3000, "created": now}
    fields |= {"content_type": "application/octet-stream", "width": None, "height": None}
    asset = f"{client.name}-18QX-7K2M9QXW-{time.strftime('%d%m%y%H%M%S', time.gmtime())}"
    draft.ops.append(["content.asset", asset, [draft.write(name, value) for name, value in fields.items()]])
    client.write(draft)
    assert digest in client.push(to)["blobs_missing"]
    client.ask(to, "PUT", f"blobs/{digest}?offset=0&total=3000", content[:1000], "application/octet-stream")
    assert refusal(client, to, "GET", f"blobs/{digest}") == (404, "blob_absent")
    client.hand_over(to, digest, content, piece=1000)
    assert client.fetch(to, digest) == (content, 3000)
    assert client.send(to, "POST", "wake", b"", STREAM).status == 204

"""Who may do what, asked of real servers by signed requests: every cell of the table, and every way to be refused."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import httpx2
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import http_signatures
from sync.core import signing, wire
from sync.core.changeset import Head, Op, Write, decode, encode
from tests.cluster.acts import look_at, orm, pull
from tests.cluster.harness import Cluster, Replica, each

pytestmark = pytest.mark.cluster

STREAM = "application/vnd.edgecms.changesets+zstd"
ABSENT = hashlib.sha256(b"nobody has this").hexdigest()


@dataclass(frozen=True)
class Actor:
    """A replica that is only a name and a key: the test sends its requests itself."""

    name: str
    role: str
    farm: str = ""
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    incarnation: str = field(default_factory=lambda: secrets.token_hex(8))

    def changeset(self) -> bytes:
        """Return the first changeset of its chain in a frame: a section of its own."""
        write = Write("title", None, f"Written by {self.name}", [])
        head = Head(
            name=self.name,
            incarnation=self.incarnation,
            scope="all",
            seq=1,
            clock=(1_700_000_000_000, 0),
            author="nobody",
            schema="1",
            prev=None,
            refs=[],
            ops=[Op("content.section", f"{self.name}-43AX-7K2M9QXV-221126143015", [write])],
        )
        raw = encode(head)
        return wire.pack(wire.lines_of(raw, signing.sign_changeset(self.key, decode(raw, bytes(64)).id), []))


ACTORS = {
    "master": Actor("MASTER09-LON", "master"),
    "node": Actor("NODE09-LON", "node", "thames"),
    "edge": Actor("EDGE09-LON", "edge", "thames"),
    "revoked": Actor("EDGE66-LON", "edge", "thames"),
}
FAR = Actor("EDGE08-WLS", "edge", "severn")
STRANGER = Actor("EDGE99-LON", "edge", "thames")
TARGETS = ("master", "node", "edge of thames", "edge of severn")

# The table as it is promised: who may push, who may pull.
PUSHES = {
    ("master", "master"), ("master", "node"), ("master", "edge of thames"), ("master", "edge of severn"),
    ("node", "master"), ("node", "node"), ("node", "edge of thames"),
    ("edge", "edge of thames"),
}  # fmt: skip
PULLS = PUSHES | {("edge", "master"), ("edge", "node")}

Site = dict[str, Replica]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for each column of the table, knowing the actors by the trusted list; nobody sweeps."""
    with Cluster(tmp_path_factory.mktemp("rule")) as cluster:
        master = cluster.make("MASTER01", "master")
        node = cluster.make("NODE01", "node", farm="thames")
        near = cluster.make("EDGE01", "edge", farm="thames")
        far = cluster.make("EDGE02", "edge", farm="severn", loc="WLS")
        cluster.prepare()
        listed = [[a.name, a.role, a.farm, signing.key_text(a.key.public_key())] for a in (*ACTORS.values(), FAR)]
        enter = "from sync import trust_admin; from sync.core.policy import Role\n"
        enter += "for name, role, farm, key in listed: trust_admin.trust(name, Role(role), farm, 'http://localhost:9', key)"
        orm(master, enter, listed=listed)
        master.command("sync_revoke", ACTORS["revoked"].name)
        cluster.start(workers=False)
        each([node, near, far], lambda replica: replica.command("sync_pull", master.name))
        yield dict(zip(TARGETS, (master, node, near, far), strict=True))


@dataclass(frozen=True)
class Call:
    """A request before it is signed."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


def signed(
    actor: Actor, target: Replica, call: Call, now: int | None = None, key: Ed25519PrivateKey | None = None
) -> httpx2.Request:
    """Return ``call`` as ``actor`` would send it to ``target``."""
    url = f"{target.base}/sync/v1/{call.path}"
    message = http_signatures.Message(call.method, url, {"content-type": call.content_type})
    stamp = int(time.time()) if now is None else now
    http_signatures.sign(message, call.body, key=key or actor.key, replica=actor.name, audience=target.name, now=stamp)
    return httpx2.Request(call.method, url, headers=message.headers, content=call.body)


def send(request: httpx2.Request) -> httpx2.Response:
    """Send it as it is."""
    with httpx2.Client(timeout=30, trust_env=False) as client:
        return client.send(request)


def stored(replica: Replica) -> str:
    """Return a digest of all that the database holds but who was in touch and which nonces are spent."""
    found = hashlib.sha256()
    with sqlite3.connect(f"file:{replica.folder}/db.sqlite3?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            if table not in ("sync_contact", "sync_nonce"):
                found.update(repr((table, sorted(map(repr, database.execute(f"SELECT * FROM {table}"))))).encode())
    return found.hexdigest()


def push_of(actor: Actor) -> Call:
    """A push of the actor's own changeset."""
    return Call("POST", "push", actor.changeset(), STREAM)


PULL = Call("POST", "pull", orjson.dumps({"have": []}))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("role", ["master", "node", "edge"])
def test_pulling_follows_the_table(site: Site, role: str, target: str) -> None:
    """A pull is answered with changesets, and a blob is looked for, exactly where the table says so; else it is forbidden."""
    actor, replica = ACTORS[role], site[target]
    before = stored(replica)
    answer = send(signed(actor, replica, PULL))
    blob = send(signed(actor, replica, Call("GET", f"blobs/{ABSENT}?offset=0")))
    if (role, target) in PULLS:
        assert answer.status_code == 200
        frames = list(wire.frames([answer.content]))
        assert frames[-1].last == {"count": sum(len(frame.changesets) for frame in frames)} != {"count": 0}
        assert (blob.status_code, blob.json()["code"]) == (404, "blob_absent")
    else:
        assert {(a.status_code, a.json()["code"]) for a in (answer, blob)} == {(403, "not_allowed")}
        assert actor.name in answer.json()["detail"]
    assert stored(replica) == before


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("role", ["master", "node", "edge"])
def test_pushing_follows_the_table(site: Site, role: str, target: str) -> None:
    """A push is stored and applied exactly where the table says so; elsewhere it is forbidden and leaves nothing."""
    actor, replica = ACTORS[role], site[target]
    before = stored(replica)
    blob = send(signed(actor, replica, Call("PUT", f"blobs/{ABSENT}?offset=0&total=4", b"four", "application/octet-stream")))
    assert stored(replica) == before
    answer = send(signed(actor, replica, push_of(actor)))
    if (role, target) in PUSHES:
        assert answer.status_code == 200
        assert (answer.json()["applied"], answer.json()["refused"]) == (1, {})
        assert (blob.status_code, blob.json()["code"]) == (409, "blob_not_wanted")
        assert stored(replica) != before
        after = stored(replica)
        assert send(signed(actor, replica, push_of(actor))).json()["applied"] == 0
        assert stored(replica) == after
    else:
        assert {(a.status_code, a.json()["code"]) for a in (answer, blob)} == {(403, "not_allowed")}
        assert stored(replica) == before


def altered_body(request: httpx2.Request) -> httpx2.Request:
    """Another body under the same signature, and under the same digest of the body."""
    content = ACTORS["node"].changeset()
    headers = {key: value for key, value in request.headers.items() if key != "content-length"}
    return httpx2.Request(request.method, request.url, headers=headers, content=content)


def altered_digest(request: httpx2.Request) -> httpx2.Request:
    """Another body with its own digest, under the same signature."""
    other = altered_body(request)
    digest = base64.b64encode(hashlib.sha256(ACTORS["node"].changeset()).digest()).decode()
    other.headers["content-digest"] = f"sha-256=:{digest}:"
    return other


def altered_path(request: httpx2.Request) -> httpx2.Request:
    """The same request at another address."""
    return _at(request, str(request.url).replace("/sync/v1/push", "/sync/v1/pull"))


def altered_query(request: httpx2.Request) -> httpx2.Request:
    """The same request with another query."""
    return _at(request, f"{request.url}?offset=7")


def another_name(request: httpx2.Request) -> httpx2.Request:
    """The same request, said to come from another replica that has this key nowhere."""
    request.headers["sync-replica"] = ACTORS["node"].name
    return request


def without_signature(request: httpx2.Request) -> httpx2.Request:
    """The same request without its signature."""
    del request.headers["signature"]
    return request


def _at(request: httpx2.Request, url: str) -> httpx2.Request:
    return httpx2.Request(request.method, url, headers=dict(request.headers), content=request.read())


ALTERED: list[tuple[Callable[[httpx2.Request], httpx2.Request], int, str]] = [
    (altered_body, 401, "signature_invalid"),
    (altered_digest, 401, "signature_invalid"),
    (altered_path, 401, "signature_invalid"),
    (altered_query, 401, "signature_invalid"),
    (another_name, 403, "key_unknown"),
    (without_signature, 401, "signature_missing"),
]


@pytest.mark.parametrize(("alter", "status", "code"), ALTERED, ids=[alter.__name__ for alter, _, _ in ALTERED])
def test_an_altered_request_is_refused(
    site: Site, alter: Callable[[httpx2.Request], httpx2.Request], status: int, code: str
) -> None:
    """A request that was changed after its signing gets the code of what is wrong with it, and leaves nothing."""
    replica, actor = site["edge of severn"], replace(ACTORS["master"], incarnation=secrets.token_hex(8))
    before = stored(replica)
    answer = send(alter(signed(actor, replica, push_of(actor))))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(replica) == before


def test_a_request_out_of_place_is_refused(site: Site) -> None:
    """Each way of not being a trusted replica that asks here and now has a code of its own, and leaves nothing."""
    replica, other = site["edge of thames"], site["edge of severn"]
    actor = replace(ACTORS["master"], incarnation=secrets.token_hex(8))
    elsewhere = signed(actor, other, push_of(actor))
    cases = {
        "replica_unknown": signed(STRANGER, replica, push_of(STRANGER)),
        "replica_revoked": signed(ACTORS["revoked"], replica, push_of(ACTORS["revoked"])),
        "key_unknown": signed(actor, replica, push_of(actor), key=STRANGER.key),
        "signature_stale": signed(actor, replica, push_of(actor), now=int(time.time()) - 600),
        "wrong_audience": _at(elsewhere, str(elsewhere.url).replace(other.base, replica.base)),
    }
    before = stored(replica)
    assert {code: send(request).json()["code"] for code, request in cases.items()} == {code: code for code in cases}
    early = send(signed(actor, replica, push_of(actor), now=int(time.time()) + 600))
    assert (early.status_code, early.json()["code"]) == (401, "signature_stale")
    assert abs(early.json()["now"] - time.time()) < 60
    assert stored(replica) == before


def test_a_captured_request_is_good_for_once(site: Site) -> None:
    """The very same bytes sent a second time are refused as a replay and change nothing more."""
    replica, actor = site["node"], replace(ACTORS["master"], incarnation=secrets.token_hex(8))
    request = signed(actor, replica, push_of(actor))
    assert send(_at(request, str(request.url))).json()["applied"] == 1
    after = stored(replica)
    again = send(_at(request, str(request.url)))
    assert (again.status_code, again.json()["code"]) == (401, "signature_replayed")
    assert stored(replica) == after


def test_a_changeset_forged_under_another_name_is_refused(site: Site) -> None:
    """A trusted replica may pass on what others wrote, and cannot write under their name: nothing of it is stored."""
    replica, relay = site["edge of thames"], ACTORS["edge"]
    forged = replace(ACTORS["master"], key=relay.key, incarnation=secrets.token_hex(8))
    before = stored(replica)
    answer = send(signed(relay, replica, push_of(forged)))
    assert (answer.status_code, answer.json()["applied"], answer.json()["refused"]) == (200, 0, {"bad_signature": 1})
    assert stored(replica) == before


def test_no_session_opens_the_door_of_replicas(site: Site) -> None:
    """Neither basic credentials nor a bearer token stand in for a key."""
    replica = site["master"]
    for authorization in ("Basic YWRtaW46YWRtaW4=", "Bearer abc"):
        answer = httpx2.get(f"{replica.base}/sync/v1/tips", headers={"Authorization": authorization}, trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_missing")


COMMANDS = [
    ("edge of thames", "sync_push", "master"),
    ("edge of thames", "sync_push", "node"),
    ("edge of thames", "sync_push", "edge of severn"),
    ("edge of thames", "sync_pull", "edge of severn"),
    ("node", "sync_push", "edge of severn"),
    ("node", "sync_pull", "edge of severn"),
]


@pytest.mark.parametrize(("here", "command", "there"), COMMANDS)
def test_a_command_refuses_before_it_sends_anything(site: Site, here: str, command: str, there: str) -> None:
    """What the own role may not do ends with status 1 and the reason; the peer has seen no request."""
    before = requests(site[there])
    outcome = site[here].manage(command, site[there].name, parse=True)
    assert (outcome.code, outcome.answer["peers"][0]["error"]["code"]) == (1, "not_allowed")
    assert site[there].name in outcome.stderr and len(outcome.stderr.strip().splitlines()) == 1
    assert requests(site[there]) == before


def requests(replica: Replica) -> float:
    """Return how many requests the replica has counted."""
    lines = replica.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("edgecms_requests_total"))


def test_submissions_stay_in_their_farm(site: Site) -> None:
    """What a visitor sent at an edge reaches masters and the node of its farm by their pulls, and no edge of another farm."""
    master, node, near, far = (site[target] for target in TARGETS)
    make = "from content.models import Submission\nSubmission.objects.create("
    make += "farm='thames', form='contact', data={'said': 'hello'}, idempotency_key='1')"
    orm(near, make)
    each([master, node], lambda replica: pull(replica, near.name))
    pull(far, master.name)
    looks = look_at([master, node, near, far])
    assert [len(look.rows["content.submission"]) for look in looks] == [1, 1, 1, 0]
    written = set(looks[2].log) - set(looks[3].log)
    assert len(written) == 1 and written <= set(looks[0].log)
    (last,) = [frame.last for frame in wire.frames([send(signed(FAR, master, PULL)).content]) if frame.last]
    assert last["count"] == len(looks[0].log) - 1

"""A small replica without a server, written from docs/sync-protocol.md alone: signed HTTP, a store, rows.

It keeps everything in memory. ``http.client`` speaks, and RFC 9421 is done by hand.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.protocol.changesets import Changeset, Draft, frames, key_text, pack, pack_texts, sha256, texts
from tests.protocol.store import Store

STREAM = "application/vnd.edgecms.changesets+zstd"
COVERED = ("@method", "@path", "@query", "content-digest", "content-type", "sync-replica", "sync-audience")


class Refused(Exception):
    """A problem document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.problem, self.code = status, problem, problem.get("code")


def signature_base(method: str, target: str, headers: dict[str, str], parameters: str) -> bytes:
    """Return what is signed of a request; ``target`` is path and query, ``headers`` have lower-case names."""
    path, _, query = target.partition("?")
    derived = {"@method": method, "@path": path, "@query": f"?{query}"}
    lines = [f'"{name}": {derived[name] if name in derived else headers[name]}' for name in COVERED]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def sign(
    key: Ed25519PrivateKey, method: str, target: str, body: bytes, headers: dict[str, str], created: int, nonce: str
) -> dict[str, str]:
    """Return ``headers`` (lower-case names; content-type, sync-replica, sync-audience) with digest and signature."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers = {**headers, "content-digest": f"sha-256=:{digest}:"}
    covered = " ".join(f'"{name}"' for name in COVERED)
    parameters = f'({covered});created={created};keyid="{key_text(key)}";alg="ed25519";nonce="{nonce}";tag="edgecms-sync-1"'
    signature = base64.b64encode(key.sign(signature_base(method, target, headers, parameters))).decode()
    return {**headers, "signature-input": f"sync={parameters}", "signature": f"sync=:{signature}:"}


@dataclass
class Peer:
    """Another replica."""

    name: str
    url: str
    offset: int = 0  # seconds by which its clock is ahead


class Client:
    """An edge of ``farm`` that pulls, verifies, writes and pushes. ``root`` and ``root_key`` are pinned for life."""

    def __init__(self, name: str, farm: str, root: str, root_key: str) -> None:
        self.name, self.key = name, Ed25519PrivateKey.generate()
        self.incarnation = secrets.token_hex(8)
        self.store = Store(("edge", farm), root, root_key)
        self.clock = (0, 0)

    @property
    def key_text(self) -> str:
        """The public key, as an operator gives it to a master."""
        return key_text(self.key)

    @classmethod
    def invited(cls, name: str, code: str) -> Client:
        """Return a client that has come in by an invitation. Raises Refused."""
        fields = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
        master, url, root, root_key, _, role, farm, secret = fields
        client = cls(name, farm, root, root_key)
        body = {"secret": secret, "role": role, "farm": farm, "url": ""}
        client.ask(Peer(master, url), "POST", "join", json.dumps(body).encode())
        return client

    # Requests

    def open(self, peer: Peer, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Any:
        """Send a signed request; return the open response. Signs again by the clock of a peer that calls it stale. Raises Refused."""
        response = self.send(peer, method, path, body, kind)
        if response.status >= 400:
            refusal = Refused(response.status, json.loads(response.read()))
            if refusal.code != "signature_stale":
                raise refusal
            peer.offset = refusal.problem["now"] - int(time.time())
            response = self.send(peer, method, path, body, kind)
            if response.status >= 400:
                raise Refused(response.status, json.loads(response.read()))
        return response

    def send(self, peer: Peer, method: str, path: str, body: bytes, kind: str, **altered: Any) -> http.client.HTTPResponse:
        """Send one signed request. ``altered``: ``audience``, ``nonce``, ``key``, ``sender``, ``body_sent``, for what must fail."""
        target = f"/sync/v1/{path}"
        headers = {
            "content-type": kind,
            "sync-replica": altered.get("sender", self.name),
            "sync-audience": altered.get("audience", peer.name),
        }
        created, nonce = int(time.time()) + peer.offset, altered.get("nonce") or secrets.token_urlsafe(18)
        headers = sign(altered.get("key", self.key), method, target, body, headers, created, nonce)
        connection = http.client.HTTPConnection(urlsplit(peer.url).netloc, timeout=60)
        connection.request(method, target, altered.get("body_sent", body), headers)
        return connection.getresponse()

    def ask(self, peer: Peer, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> dict[str, Any]:
        """Return the JSON of an answer."""
        content = self.open(peer, method, path, body, kind).read()
        return dict(json.loads(content)) if content else {}

    # Exchange

    def pull(self, peer: Peer, cut: int | None = None) -> bool:
        """Pull from ``peer``; return whether the whole stream came. ``cut``: hang up after so many bytes."""
        body = json.dumps({"have": self.store.tips()}).encode()
        response = self.open(peer, "POST", "pull", body)
        count, is_whole = 0, False
        for frame in frames(_chunks(response, cut)):
            count += len(frame.changesets)
            self.store.take(frame.changesets)
            is_whole = frame.last is not None and frame.last["count"] == count
        response.close()
        clocks = [tuple(c.head["clock"]) for c in self.store.counting()]
        self.clock = max([self.clock, *clocks])
        return is_whole

    def push(self, peer: Peer) -> dict[str, Any]:
        """Push to ``peer`` what it lacks; return its answer."""
        tips = self.ask(peer, "GET", "tips")["tips"]
        return self.ask(peer, "POST", "push", pack(self.store.missing(tips)), STREAM)

    def fetch(self, peer: Peer, digest: str, offset: int = 0) -> tuple[bytes, int]:
        """Return a blob from ``offset`` on, and the size of the whole."""
        response = self.open(peer, "GET", f"blobs/{digest}?offset={offset}", kind="application/octet-stream")
        return response.read(), int(response.headers["Sync-Blob-Size"])

    def fetch_values(self, peer: Peer, wanted: list[list[str]]) -> dict[str, bytes]:
        """Return those of the values [dot, digest] that a peer has, by their digest."""
        response = self.open(peer, "POST", "values", json.dumps({"wanted": wanted}).encode())
        return {sha256(text): text for text in texts(_chunks(response, None))}

    def hand_over_values(self, peer: Peer, values: Iterable[bytes]) -> dict[str, Any]:
        """Hand values over to a peer that wants them; return its answer."""
        return self.ask(peer, "PUT", "values", pack_texts(values), STREAM)

    def hand_over(self, peer: Peer, digest: str, content: bytes, piece: int) -> None:
        """Send a blob in pieces of ``piece`` bytes."""
        held = 0
        while held < len(content):
            path = f"blobs/{digest}?offset={held}&total={len(content)}"
            held = self.ask(peer, "PUT", path, content[held : held + piece], "application/octet-stream")["held"]

    # Writing

    def write(self, draft: Draft, author: str = "alice") -> Changeset:
        """Sign ``draft`` as the next changeset of this client's chain, and take it."""
        chain = (self.name, self.incarnation, "all")
        before, now = self.store.chain_end(chain), int(time.time() * 1000)
        self.clock = (now, 0) if now > self.clock[0] else (self.clock[0], self.clock[1] + 1)
        changeset = draft.sign(
            self.key,
            name=self.name,
            incarnation=self.incarnation,
            scope="all",
            seq=before.head["seq"] + 1 if before else 1,
            clock=list(self.clock),
            author=author,
            schema="1",
            prev=before.dot if before else None,
        )
        assert self.store.take([changeset]) == 1, dict(self.store.refused)
        return changeset


def _chunks(response: http.client.HTTPResponse, cut: int | None) -> Iterator[bytes]:
    left = cut
    while left is None or left > 0:
        chunk = response.read(min(1 << 16, left or 1 << 16))
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk

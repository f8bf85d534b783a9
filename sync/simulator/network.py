"""The network between simulated replicas: the real client's conversation answered by the real views, without HTTP.

What goes wrong on the way is decided by a ``Weather``: partitions, requests and answers that are lost, streams that are cut,
doubled, shuffled or altered by somebody in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.http import StreamingHttpResponse
from django.urls import resolve

from sync import conf, keys, trusting
from sync.api import views
from sync.api.authentication import PeerUser
from sync.api.problems import SyncProblem
from sync.core.errors import PeerRefusedError, PeerUnavailableError
from sync.core.policy import Party, Verb, may
from sync.simulator.relay import tamper
from sync.simulator.replica import Replica

KEPT = 24  # bodies that may come once more


@dataclass
class Weather:
    """What befalls the next exchange. ``fault``: "", lost, unanswered, cut, doubled, shuffled, altered, stripped, dropped."""

    fault: str = ""
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311


class Network:
    """Who reaches whom, and what became of what was sent. ``bodies`` are the last streams, which somebody may send again."""

    def __init__(self, tally: Counter[str]) -> None:
        self.tally = tally
        self.weather = Weather()
        self.islands: list[set[str]] = []
        self.find: Callable[[str], Replica | None] = lambda name: None
        self.caller: Callable[[], Replica] = lambda: (_ for _ in ()).throw(AssertionError)
        self.bodies: list[bytes] = []

    def reaches(self, one: str, other: str) -> bool:
        """Say whether no partition lies between two replicas, by their labels."""
        return all((one in island) == (other in island) for island in self.islands)

    def remember(self, body: bytes) -> None:
        """Keep a stream, that it may be sent again."""
        self.bodies = [*self.bodies[-KEPT + 1 :], body]

    def hit(self, fault: str) -> bool:
        """Say whether ``fault`` strikes now; each strikes once."""
        if self.weather.fault != fault:
            return False
        self.weather.fault = ""
        self.tally[fault] += 1
        return True

    def on_the_way(self, body: bytes) -> bytes:
        """Return what arrives of a stream."""
        random = self.weather.random
        for fault in ("doubled", "shuffled", "altered", "stripped", "dropped"):
            if self.hit(fault):
                return tamper(fault, body, random)
        return body


class Line:
    """Takes the place of ``sync.client.Peer``."""

    network: Network

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self.server = self.network.find(name)

    def json(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> dict[str, Any]:
        """As the client's: send a request and return the JSON object of the answer."""
        with self.send(method, path, body, content_type) as response:
            content = b"".join(self.chunks(response))
        return dict(orjson.loads(content)) if content else {}

    @contextmanager
    def send(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> Iterator[Any]:
        """As the client's: yield the answer, or raise PeerUnavailableError or PeerRefusedError."""
        network, caller = self.network, self.network.caller()
        server = self.server
        if server is None or server is caller or not network.reaches(caller.label, server.label):
            raise PeerUnavailableError(f"{self.name} does not answer")
        if network.hit("lost"):
            raise PeerUnavailableError(f"the request to {self.name} was lost")
        if path == "push":
            network.remember(body)
            body = network.on_the_way(body)
            if network.hit("cut"):
                body = body[: network.weather.random.randrange(len(body) + 1)]
        signer = keys.public_text()
        with server.here():
            answer = _answer(self.name, caller.name, signer, method, path, body)
        if network.hit("unanswered"):
            raise PeerUnavailableError(f"the answer of {self.name} was lost")
        if path == "pull":
            network.remember(answer)
            answer = network.on_the_way(answer)
        yield answer

    def chunks(self, answer: bytes) -> Iterator[bytes]:
        """Yield the answer in pieces, up to where the line breaks."""
        network, end = self.network, len(answer)
        is_cut = network.hit("cut")
        if is_cut:
            end = network.weather.random.randrange(len(answer) + 1)
        for start in range(0, end, 1000):
            yield answer[start : min(start + 1000, end)]
        if is_cut:
            raise PeerUnavailableError("the line broke")


def _answer(name: str, caller: str, key: str, method: str, path: str, body: bytes) -> bytes:
    """Let the view of ``path`` answer, here at the server ``name``. Raises PeerRefusedError."""
    parts = urlsplit(path)
    try:
        peer = _known(caller, key)
        found = resolve(f"/sync/v1/{parts.path}", urlconf="sync.urls")
        view: views.PeerView = found.func.view_class()  # type: ignore[attr-defined]
        if isinstance(view, views.BlobView | views.ValuesView):
            view.verb = Verb.PUSH if method == "PUT" else Verb.PULL
        if view.verb is not None and not may(peer.party, view.verb, trusting.me()):
            raise SyncProblem(403, "not_allowed", f"{caller} may not {view.verb} {conf.name()}")
        request: Any = SimpleNamespace(
            user=peer,
            method=method,
            query_params=dict(parse_qsl(parts.query)),
            _request=SimpleNamespace(peer_body=body),
        )
        response = getattr(view, method.lower())(request, **found.kwargs)
    except SyncProblem as problem:
        raise PeerRefusedError(_code(problem), f"{name}: {problem.detail}") from None
    if isinstance(response, StreamingHttpResponse):
        return b"".join(response.streaming_content)  # type: ignore[arg-type]
    return orjson.dumps(response.data) if response.data is not None else b""


def _code(problem: Any) -> str:
    return str(getattr(problem, "code", None) or getattr(problem.detail, "code", "refused"))


def _known(name: str, key: str) -> PeerUser:
    """Return the caller as the authentication of a signed request does. Raises SyncProblem."""
    entry = trusting.current().entries.get(name)
    if entry is None:
        raise SyncProblem(403, "replica_unknown", f"{name} is not on the trusted list; a master must enter it")
    if entry.open is None:
        raise SyncProblem(403, "replica_revoked", f"{name} was taken off the trusted list")
    if entry.open.key != key:
        raise SyncProblem(403, "key_unknown", f"the trusted list has another key for {name}")
    return PeerUser(name, Party.named(name, entry.open.role, entry.open.farm), key)

"""The client side of the exchange: signed requests to one peer. No redirects are followed; the address is the trusted list's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2
import orjson

from sync import conf, http_signatures, keys, local, pace
from sync.core.errors import MalformedError, PeerRefusedError, PeerUnavailableError

MAX_OFFSET = 24 * 3600  # seconds
KEPT = 10.0  # seconds that a connection is kept for the next request; less than the 15 after which our servers close it
CONNECT, HELLO, WORK = 5.0, 20.0, 60.0  # seconds: to be reached, to say who it is, and to work on what it is asked for


@lru_cache(maxsize=2)
def _http(is_secure: bool) -> httpx2.Client:
    """Return the one client of this process for addresses of a kind: whoever speaks with a peer again finds the line open.

    A client of its own for each conversation would read all certificates of the system each time, which takes 20 ms.
    """
    nobodys = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.Client(follow_redirects=False, trust_env=False, cookies=nobodys, transport=pace.transport(is_secure, KEPT))


os.register_at_fork(after_in_child=_http.cache_clear)  # two processes on one connection would read each other's answers


class Peer:
    """A trusted replica as one talks to it. Raises PeerUnavailableError or PeerRefusedError.

    ``patience``: seconds that it may let us wait for the head of an answer; for each next piece of its body it has ``WORK``.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url.rstrip("/")
        self.patience = WORK
        self.offset = 0  # seconds by which the peer's clock is ahead of ours, learned from its refusal
        self.http = _http(self.url.startswith("https://"))

    def json(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> dict[str, Any]:
        """Send a request and return the JSON object of the answer. Raises MalformedError where it is none."""
        with self.send(method, path, body, content_type) as response:
            content = self._reading(response.read)
        try:
            return dict(orjson.loads(content)) if content else {}
        except (TypeError, ValueError):
            raise MalformedError(f"what answers at {self.url} does not speak this protocol; correct the address") from None

    @contextmanager
    def send(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> Iterator[Any]:
        """Send a signed request and yield the open response. Signs again by the peer's clock where it says ours is off."""
        response = self._send_once(method, path, body, content_type)
        try:
            if response.status_code == 401:
                problem = self._problem(response)
                offset = _offset(problem)
                if offset is not None:
                    self.offset = offset
                    response.close()
                    response = self._send_once(method, path, body, content_type)
            if not response.is_success:
                problem = self._problem(response)
                raise PeerRefusedError(str(problem.get("code", "refused")), f"{self.name}: {problem.get('detail', '')}")
            yield response
        finally:
            response.close()

    def _send_once(self, method: str, path: str, body: bytes, content_type: str) -> httpx2.Response:
        url = f"{self.url}/sync/v1/{path}"
        message = http_signatures.Message(method, url, {"content-type": content_type})
        now, key = int(time.time()) + self.offset, keys.private()
        timeout = httpx2.Timeout(self.patience, connect=CONNECT)
        try:
            http_signatures.sign(message, body, key=key, replica=conf.name(), audience=self.name, now=now)
            request = self.http.build_request(method, url, headers=message.headers, content=body, timeout=timeout)
        except (http_signatures.WrongAddressError, httpx2.InvalidURL) as error:  # a master has entered it so
            raise PeerUnavailableError(
                f"{self.url!r} is no address of {self.name}; correct it with sync_trust: {error}"
            ) from None
        response = self._reading(lambda: self.http.send(request, stream=True))
        request.extensions["timeout"]["read"] = WORK  # it has said who it is; httpcore looks when the body is begun
        return response

    def _reading(self, action: Any) -> Any:
        try:
            return action()
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            detail = str(error) or type(error).__name__
            raise PeerUnavailableError(f"{self.name} does not answer at {self.url}: {detail}") from None

    def _problem(self, response: httpx2.Response) -> dict[str, Any]:
        content = self._reading(response.read)
        try:
            problem = orjson.loads(content)
        except orjson.JSONDecodeError:
            problem = None
        if isinstance(problem, dict):
            return problem
        return {"code": f"http_{response.status_code}", "detail": f"{self.url} answered {response.status_code}"}

    def chunks(self, response: httpx2.Response) -> Iterator[bytes]:
        """Yield the body of an open response as it comes. No size is asked for: what is gathered is lost where the line breaks."""
        stream = response.iter_raw()
        while True:
            chunk = self._reading(lambda: next(stream, None))
            if chunk is None:
                return
            yield chunk


def _offset(problem: dict[str, Any]) -> int | None:
    """Return by how many seconds the peer's clock is ahead of ours, where it refused a request for that; None otherwise.

    The answer is not signed: whoever stands on the way could have us sign requests for a time to come, so it is bounded.
    """
    now = problem.get("now")
    if problem.get("code") != "signature_stale" or not isinstance(now, int):
        return None
    offset = now - int(time.time())
    # A machine that starts without a clock is years behind; what it has written and seen says about when it is.
    seen = local.state().clock_ms // 1000
    return offset if min(abs(offset), abs(now - seen)) <= MAX_OFFSET else None

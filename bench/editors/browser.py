"""One browser of an editor: logged in, on one kept-alive connection, with the forms that the pages hold."""

from __future__ import annotations

import http.client
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

SHORT, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
PATIENCE = 60  # seconds that a server gets to answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. ``seconds``: from the first byte sent to the last one read."""

    status: int
    text: str
    location: str
    seconds: float


class Browser:
    """Asks one server, keeping its cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Answer:
        """Send a request and read the whole answer."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Referer": self.url + path}
        headers |= {"Content-Type": kind, "Origin": self.url} if kind else {}
        began = time.perf_counter()
        self.connection.request(method, path, body or None, headers)
        response = self.connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - began
        for cookie in response.headers.get_all("Set-Cookie") or ():
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(cookie).items()}
        return Answer(response.status, content.decode(), response.headers.get("Location", ""), seconds)

    def log_in(self, path: str) -> None:
        """Log in as ``bench``. Raises RuntimeError where that does not work."""
        form = form_of(self.ask("GET", path).text, "username") | {"username": "bench", "password": "bench"}
        answer = self.ask("POST", path, urlencode(form).encode(), SHORT)
        if answer.status != 302:
            raise RuntimeError(f"{self.url}{path} does not log in: {answer.status} {answer.text[:500]}")

    def send(self, path: str, form: Mapping[str, str], kind: str) -> Answer:
        """Send a form, and return what is answered to it. Raises RuntimeError where it was not stored."""
        body, full_kind = (urlencode(form).encode(), SHORT) if kind == SHORT else in_parts(form)
        answer = self.ask("POST", path, body, full_kind)
        if answer.status != 302:
            raise RuntimeError(f"{self.url}{path} does not store the form: {answer.status} {answer.text[:2000]}")
        return answer


def in_parts(form: Mapping[str, str]) -> tuple[bytes, str]:
    """Return a form as multipart/form-data, and its content type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode(), f"{PARTS}; boundary={boundary}"


class _Forms(HTMLParser):
    """Collects what a browser would send of each form of a page that is sent by POST."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.inside = False
        self.area = self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name, kind = values.get("name", ""), values.get("type", "")
        if tag == "form":
            self.inside = values.get("method", "").lower() == "post"
            self.forms += [{}] if self.inside else []
        if not self.inside or "__prefix__" in name:
            return
        form = self.forms[-1]
        if tag == "textarea" and name:
            self.area, form[name] = name, ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in values or self.select not in form):
            form[self.select] = values.get("value", "")
        elif tag == "input" and name and kind in ("checkbox", "radio"):
            form.update({name: values.get("value") or "on"} if "checked" in values else {})
        elif tag == "input" and name and kind not in ("file", "submit"):
            form[name] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.area:
            form = self.forms[-1]
            form[self.area] = form[self.area].removeprefix("\n").replace("\n", "\r\n")
            self.area = ""
        if tag == "select":
            self.select = ""
        if tag == "form":
            self.inside = False

    def handle_data(self, text: str) -> None:
        if self.area and self.inside:
            self.forms[-1][self.area] += text


def form_of(markup: str, field: str) -> dict[str, str]:
    """Return the form that has an input ``field``, as a browser sends it back untouched. Raises RuntimeError where none has."""
    parser = _Forms()
    parser.feed(markup)
    for form in parser.forms:
        if field in form:
            return form
    raise RuntimeError(f"no form has an input {field!r}: {markup[:500]}")

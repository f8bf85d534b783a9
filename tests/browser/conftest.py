"""A real browser: the Chromium of this machine, with an eye on its console and on where it sends requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page


@contextmanager
def quiet(page: Page, *homes: str) -> Iterator[Page]:
    """A tab in which any complaint of the browser, and any request to others than ``homes``, fails the test."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda request: complaints.append(request.url) if _elsewhere(request.url, homes) else None)
    yield page
    assert complaints == []


@pytest.fixture
def quiet_page(page: Page, live_server: Any) -> Iterator[Page]:
    """A quiet tab for the server of Django's tests."""
    with quiet(page, live_server.url):
        yield page


def _elsewhere(url: str, homes: tuple[str, ...]) -> bool:
    return not url.startswith((*homes, "data:", "blob:", "about:"))

"""A real browser: the Chromium of this machine, with an eye on its console and on where it sends requests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

# Playwright keeps an event loop in this thread, in which Django would refuse to touch the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the installed Chromium. Where there is none the test is skipped, and fails with CI=true."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"This test needs Chromium, found as one of {', '.join(NAMES)}. Install it and run the test again.")
    return {**browser_type_launch_args, "executable_path": path, "args": list(FLAGS)}


@pytest.fixture
def quiet_page(page: Page, live_server: Any) -> Iterator[Page]:
    """A tab in which any complaint of the browser, and any request to somebody else, fails the test."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda request: complaints.append(request.url) if _elsewhere(request.url, live_server.url) else None)
    yield page
    assert complaints == []


def _elsewhere(url: str, home: str) -> bool:
    return not url.startswith((home, "data:", "blob:", "about:"))

"""Run the tests that mistakes name, each with its mistake planted: ``pytest -p tests.simulator.planting tests/core tests/sync``.

A test must pass without the mistake and fail with it; where it does not, the run fails. Tests that no mistake names are not run.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

caught: dict[str, bool] = {}  # name of a mistake -> does its test fail with it, and not without


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep the tests that are named."""
    items[:] = [item for item in items if _mistakes(item)]


def pytest_runtest_protocol(item: Any, nextitem: Any) -> bool:
    """Run the test as it is, and with each mistake that names it."""
    passes = not _fails(item, nextitem, nullcontext())
    for mistake in _mistakes(item):
        caught[mistake.name] = caught.get(mistake.name, False) or (passes and _fails(item, nextitem, mistake.planted()))
    return True


def pytest_sessionfinish(session: Any) -> None:
    """Fail where a mistake was not found."""
    if not caught or not all(caught.values()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say who was found."""
    for name, found in sorted(caught.items()):
        terminalreporter.write_line(f"{'found' if found else 'NOT FOUND'} {name}")


def _mistakes(item: Any) -> list[Any]:
    """Return the mistakes that name ``item``; with MISTAKES=name,… those alone."""
    from tests.simulator.bugs import BUGS  # by now Django is there

    test = item.nodeid.split("[")[0]
    chosen = os.environ.get("MISTAKES", "")
    return [bug for bug in BUGS.values() if bug.test == test and (not chosen or bug.name in chosen.split(","))]


def _fails(item: Any, nextitem: Any, planted: AbstractContextManager[None]) -> bool:
    item._initrequest()
    with planted:
        return any(report.failed for report in runtestprotocol(item, nextitem=nextitem, log=False))

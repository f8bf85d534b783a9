"""The bench runs and gives its figures. What the figures are is no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import require

TOP = Path(__file__).resolve().parent.parent


@pytest.mark.cluster
def test_the_bench_gives_its_figures() -> None:
    """A small run ends well and has seconds, rates, memory, bytes and the ratio to the limit for each case."""
    command = [sys.executable, "-m", "bench.pull", "--sizes", "50", "--rounds", "1", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [size] = json.loads(done.stdout)["sizes"]
    assert size["records"] == 50 and size["record_bytes"] > 50_000 and size["response_bytes"] > 0
    assert {case: found["records"] for case, found in size["cases"].items()} == {"empty": 50, "unchanged": 0, "changed": 50}
    for found in size["cases"].values():
        assert found["ratio"] > 0
        for side in (found["pull"], found["limit"]):
            assert 0 < side["seconds"]["min"] <= side["seconds"]["median"] <= side["seconds"]["max"]
            assert side["peak_memory_bytes"]["median"] > 1_000_000
            assert (side["records_per_second"] > 0) is (found["records"] > 0)


@pytest.mark.cluster
def test_the_bench_of_compaction_gives_its_figures() -> None:
    """A small run ends well: every overwritten version was dropped, and costs less than before."""
    command = [sys.executable, "-m", "bench.compaction", "--records", "10", "--edits", "20", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["records"], found["versions"]) == (10, 200)
    assert found["per_version"]["after"] < found["per_version"]["before"]


@pytest.mark.cluster
def test_the_bench_of_pages_gives_its_figures() -> None:
    """A small run ends well: we and the limits answer every page, and each has its figures."""
    require("wrk")
    require("nginx")
    command = [sys.executable, "-m", "bench.pages", "--pages", "5", "--seconds", "1", "--rounds", "1", "--no-peers", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["contestants"]}
    assert len(found) == 5 and not any(one["why_not"] for one in found.values())
    for one in found.values():
        assert one["requests_per_second"]["median"] > 0 and 0 < one["p50"]["median"] <= one["p99"]["median"]

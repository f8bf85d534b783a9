"""The bench runs and gives its figures. What the figures are is no matter of tests."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as all_benches
from bench import growth, router
from bench.frame import Bench, Measure, Report, options_of, run, turns
from bench.loglog import drawing, exponent
from tests.servers import require

TOP = Path(__file__).resolve().parent.parent


# Those that start many programs take a minute and a half together; `BENCHES=1 make test` has all of them.
IN_FULL = pytest.mark.skipif("BENCHES" not in os.environ, reason="BENCHES=1 runs every bench")


@pytest.mark.parametrize("name", all_benches.NAMES)
def test_every_bench_can_be_loaded(name: str) -> None:
    """None of them names what is no more; and what `--quick` sets are options that it has."""
    bench = importlib.import_module(f"bench.{name}").BENCH
    chosen = vars(options_of(bench, ["--quick"]))
    assert bench.name == name and chosen["rounds"] == 1 and {**chosen, **bench.quick} == chosen
    assert set(bench.quick) <= vars(options_of(bench, [])).keys()


def quick(*names: str) -> dict[str, Any]:
    """Run benches as ``make bench`` does, at their smallest, and return their results."""
    command = [sys.executable, "-m", "bench", *names, "--quick", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.cluster
def test_the_bench_of_sync_gives_its_figures() -> None:
    """A small run ends well: seconds, memory and bytes of each case, for us and for the limit, and what came was counted."""
    result = quick("sync")["sync"]
    assert [case["case"] for case in result["cases"]] == [
        "50 records, all",
        "50 records, nothing new",
        "50 records, 50 changed",
    ]
    for case in result["cases"]:
        assert len(case["contestants"]) == 2
        for one in case["contestants"]:
            assert 0 < one["seconds"]["median"] < one["with_start"]["median"]
            assert one["memory"]["median"] > 1_000_000 and one["sent"]["median"] > 0 and one["requests"]["median"] >= 1


@pytest.mark.cluster
@IN_FULL
def test_the_bench_of_compaction_gives_its_figures() -> None:
    """A small run ends well: every overwritten version was dropped, and costs less than before."""
    [case] = quick("compaction")["compaction"]["cases"]
    found = {one["name"]: one for one in case["contestants"]}
    before, after = (found[name]["per_version"]["median"] for name in ("with all versions", "after sync_compact"))
    assert after < before


@pytest.mark.cluster
def test_the_bench_of_pages_gives_its_figures() -> None:
    """A small run ends well: we and the limits answer every page, and each has its figures."""
    require("wrk")
    require("nginx")
    result = quick("pages")["pages"]
    [case] = result["cases"]
    assert len(case["contestants"]) == 5 and not result["refusals"] and result["versions"]["nginx"]
    for one in case["contestants"]:
        assert one["requests_per_second"]["median"] > 0 and 0 < one["p50"]["median"] <= one["p99"]["median"]


@pytest.mark.cluster
@IN_FULL
def test_the_bench_of_the_editor_gives_its_figures() -> None:
    """A small run ends well: we and a plain Django admin show a page, store each change of it, and show it again."""
    found = {case["case"]: case["contestants"] for case in quick("editor")["editor"]["cases"]}
    assert list(found)[2:] == [
        "opening, 3 blocks",
        *(f"saving, {what} of 3 changed" for what in ("nothing", "one block", "all blocks")),
    ]
    for contestants in found.values():
        assert {one["name"] for one in contestants} == {"edgecms", "plain Django admin"}
        assert all(0 < one["p50"]["median"] <= one.get("p99", one["p50"])["median"] for one in contestants)


@pytest.mark.cluster
@IN_FULL
@pytest.mark.redis
def test_the_bench_of_the_farm_gives_its_figures() -> None:
    """A small run ends well, with the embedded queue and with Redis: every edit arrives on the other edge and on the master."""
    require("redis-server")
    found = quick("farm")["farm"]
    assert len(found["cases"]) == 2 and not found["refusals"]
    for case in found["cases"]:
        assert len(case["contestants"]) == 4
        assert all(0 < one["p50"]["median"] <= one["p99"]["median"] for one in case["contestants"])


@pytest.mark.cluster
@IN_FULL
@pytest.mark.skipif(bool(router.why_not()), reason=router.why_not())
def test_the_bench_of_distance_gives_its_figures() -> None:
    """A small run ends well: the edge is near and the origin is far, over kept and over fresh connections, and nobody is lost."""
    require("nginx")
    result = quick("distance")["distance"]
    assert not result["why_not"] and [case["case"] for case in result["cases"]] == ["kept-alive connection", "fresh connection"]
    for case, journeys in zip(result["cases"], (1, 2), strict=True):
        found = {one["name"]: one["p50"]["min"] for one in case["contestants"]}
        assert found["edgecms, gunicorn, at the origin"] >= journeys * 180
        assert journeys * 20 <= found["edgecms, nginx, at the edge"] < journeys * 180


@pytest.mark.cluster
@IN_FULL
def test_the_bench_of_turns_gives_its_figures() -> None:
    """A small run ends well: saves went on during the pull, and after it."""
    [case] = quick("turns")["turns"]["cases"]
    assert [one["name"] for one in case["contestants"]] == ["during the pull", "with nothing else going on"]
    assert all(0 < one["p50"]["median"] <= one["worst"]["median"] for one in case["contestants"])


@pytest.mark.cluster
def test_the_bench_of_growth_gives_its_figures() -> None:
    """A small run ends well: a site of one size is made, its edge pulls just what is new, and every cost is taken."""
    [case] = quick("growth")["growth"]["cases"]
    [found] = case["contestants"]
    assert found["name"] == "200" and all(found[cost]["median"] > 0 for cost in growth.COSTS)


def test_an_exponent_says_how_a_cost_grows() -> None:
    """0 is flat, 1 in proportion, 2 its square; and a drawing names each."""
    sizes = (10, 100, 1000)
    flat, straight, square = ([(x, 3.0 * x**power) for x in sizes] for power in (0, 1, 2))
    assert [round(exponent(points), 6) for points in (flat, straight, square)] == [0, 1, 2]
    svg = drawing("costs", "ms", {"flat": flat, "square": square})
    assert "flat ^0.00" in svg and "square ^2.00" in svg and svg.count("<circle") == 6


def test_a_bench_that_failed_is_named_and_the_others_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of one bench does not hang on another one, and the status says that something is missing."""
    report = Report("sync")
    for seconds, other in ((1.0, 3.0), (2.0, 4.0), (9.0, 3.5)):
        report.take("all of it", "edgecms", seconds=seconds)
        report.take("all of it", "the peer", seconds=other)
    report.cannot("another peer", "it is not installed")
    bench = Bench("What is measured", lambda options, report: None, {"seconds": Measure("s")}, beside=("the peer",))
    result = run(bench, options_of(bench, ["--rounds", "3"])) | {"cases": report.cases(), "refusals": report.refusals}
    monkeypatch.setattr(all_benches, "one", lambda name, options: result if name == "pages" else None)
    monkeypatch.setattr(sys, "argv", ["bench", "pages", "compaction"])
    assert all_benches.main() == 1
    printed = capsys.readouterr().out
    assert "2.00 (1.00–9.00)" in printed and "1.75" in printed, "median and range, and the ratio of the medians"
    assert "another peer is not measured: it is not installed" in printed and "compaction failed" in printed


def test_every_other_round_goes_backwards() -> None:
    """Nobody always comes first."""
    assert list(turns(2, ["a", "b"])) == [(1, "a"), (1, "b"), (2, "b"), (2, "a")]

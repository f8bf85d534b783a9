"""How long does the server take to open and to save a page in its editor? Beside a plain Django admin, and Wagtail.

``python -m bench.editor [--sizes 3 30 100] [--requests 20]``. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.editors.browser import Browser
from bench.editors.contestants import CHANGES, Editor, cpu_seconds, edgecms, plain, wagtail
from bench.frame import Bench, CannotError, Measure, Options, Report, main
from bench.measure import wait_for
from deploy.local.processes import stop

LIMIT, PEER = "plain Django admin", "Wagtail"


def editors(folder: Path, options: Options, report: Report) -> Iterator[Editor]:
    """Yield everybody who can be had."""
    yield edgecms(folder, options.sizes)
    yield plain(folder, options.sizes)
    if not options.no_peers:
        try:
            yield wagtail(folder, options.sizes)
        except CannotError as error:
            report.cannot(PEER, error)


def measure(options: Options, report: Report) -> None:
    """Run all rounds: in each, everybody is started anew, and asked in turn, request by request."""
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as name:
        everybody = list(editors(Path(name), options, report))
        for each in everybody:
            report.versions |= each.versions
        for number in range(1, options.rounds + 1):
            report.say(f"round {number}")
            in_order = everybody if number % 2 else everybody[::-1]
            with started(in_order) as browsers:
                first(in_order, browsers, report, options.sizes[len(options.sizes) // 2])
                for size in options.sizes:
                    one_round(in_order, browsers, report, size, options.requests)


@contextlib.contextmanager
def started(everybody: list[Editor]) -> Iterator[dict[str, Browser]]:
    """Start all servers, and yield a browser for each in which somebody is logged in."""
    with contextlib.ExitStack() as stack:
        browsers = {}
        for each in everybody:
            each.process.start()
            stack.callback(stop, [each.process])
            wait_for(each.url + each.login)
            browsers[each.name] = Browser(each.url)
            browsers[each.name].log_in(each.login)
        yield browsers


def first(everybody: list[Editor], browsers: dict[str, Browser], report: Report, size: int) -> None:
    """Take the first opening of a page after a start, and the first save."""
    for each in everybody:
        form, seconds = each.open(browsers[each.name], size)
        report.take(f"the first opening, {size} blocks", each.name, p50=seconds)
        saving = each.save(browsers[each.name], size, form, CHANGES[1])
        report.take(f"the first save, one of {size} blocks changed", each.name, p50=saving)


def one_round(everybody: list[Editor], browsers: dict[str, Browser], report: Report, size: int, requests: int) -> None:
    """Open and save the page of ``size`` blocks again and again, one request of everybody after the other."""
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for change in CHANGES:
        for number in range(requests):
            for each in everybody if number % 2 else reversed(everybody):
                browser, before = browsers[each.name], cpu_seconds(each.process)
                form, opening = each.open(browser, size)
                opened = cpu_seconds(each.process)
                saving = each.save(browser, size, form, change)
                used = cpu_seconds(each.process) - opened
                taken.setdefault((f"opening, {size} blocks", each.name), []).append((opening, opened - before))
                taken.setdefault((f"saving, {change} of {size} changed", each.name), []).append((saving, used))
    for (case, name), found in taken.items():
        report.take(case, name, **figures(found))


def figures(taken: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return what a round of requests gave, each told by its seconds and by those of processors."""
    seconds = [one for one, _ in taken]
    p99 = statistics.quantiles(seconds, n=100, method="inclusive")[98]
    return {"p50": statistics.median(seconds), "p99": p99, "cpu": statistics.median(used for _, used in taken)}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 30, 100], metavar="BLOCKS", help="of pages (%(default)s)")
    parser.add_argument("--requests", type=int, default=20, help="how often each page is saved in a round, for each change")


BENCH = Bench(
    __doc__,
    measure,
    {"p50": Measure("ms", ".1f", scale=1000), "p99": Measure("ms", ".1f", scale=1000), "cpu": Measure("ms", ".1f", scale=1000)},
    beside=(LIMIT, PEER),
    arguments=arguments,
    quick={"sizes": [3], "requests": 2},
)

if __name__ == "__main__":
    main(BENCH)

"""How long does an editor's save wait while its replica pulls a whole site? Beside it, the same saves with nothing else going on.

``python -m bench.turns [--records 20000]``; see docs/performance.md for what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.farm import USER, percentile, sign_in
from bench.frame import Bench, Measure, Options, Report, main
from bench.measure import TOP, wait_for
from bench.replicas import count, inside, introduction, make
from deploy.local.processes import stop
from deploy.local.replica import Replica

PAUSE = 0.05  # seconds between two saves
QUIET = 5.0  # seconds of saves with nothing else going on
WRITE = 'from content.models import Page, Section\nprint(Page.objects.create(title="P", section=Section.objects.create(title="N")).token)'


def saves(edge: Replica, token: str, is_over: Callable[[], bool]) -> list[float]:
    """Save a page by the API, again and again until it is over; return the seconds of each."""
    taken: list[float] = []
    with contextlib.closing(sign_in(edge)) as editor:
        while not is_over():
            began = time.perf_counter()
            answer = editor.patch(f"/api/v1/pages/{token}/", json={"title": f"Edit {len(taken)} at {time.time_ns()}"})
            taken.append(time.perf_counter() - began)
            if not answer.is_success:
                raise RuntimeError(f"a save was answered {answer.status_code}: {answer.text[:300]}")
            time.sleep(PAUSE)
    return taken


def one_round(root: Path, number: int, master: Replica, options: Options, report: Report) -> None:
    """Measure an edge of its own."""
    edge = make(f"EDGE{number:02}", "edge", root / f"edge{number}", "bench")
    inside(edge, "prepare", trust=[introduction(master)])
    edge.must("createsuperuser", "--noinput", env={f"DJANGO_SUPERUSER_{key}": value for key, value in USER.items()})
    inside(master, "prepare", trust=[introduction(edge)])
    token = edge.manage("shell", "--verbosity", "0", "--no-imports", "-c", WRITE).stdout.strip()
    try:
        edge.start_web()
        wait_for(f"{edge.url}/readyz")
        pull = subprocess.Popen(
            [sys.executable, "manage.py", "sync_pull", master.name, "--json"], env=edge.env, cwd=TOP, stdout=subprocess.DEVNULL
        )
        try:
            began = time.monotonic()
            busy = saves(edge, token, lambda: pull.poll() is not None)
        finally:
            pull.terminate()
            pull.wait()
        if (held := count(edge)) < options.records:
            raise RuntimeError(f"the pull brought {held} records of {options.records}")
        report.say(f"round {number}: {len(busy)} saves during a pull of {time.monotonic() - began:.0f} s")
        end = time.monotonic() + QUIET
        quiet = saves(edge, token, lambda: time.monotonic() > end)
    finally:
        stop([edge.web])
    case = f"saves by the API, {options.records:,} records"
    for name, taken in (("during the pull", busy), ("with nothing else going on", quiet)):
        report.take(case, name, worst=max(taken), p50=percentile(taken, 0.5), p99=percentile(taken, 0.99))


def measure(options: Options, report: Report) -> None:
    """Run all rounds, each with a new edge."""
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as name:
        root = Path(name)
        master = make("MASTER01", "master", root / "master")
        inside(master, "prepare", trust=[], count=options.records)
        try:
            master.start_web()
            wait_for(f"{master.url}/readyz")
            for number in range(1, options.rounds + 1):
                one_round(root, number, master, options, report)
        finally:
            stop([master.web])


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--records", type=int, default=20_000, help="how many are pulled meanwhile (%(default)s)")


BENCH = Bench(
    __doc__,
    measure,
    {measure: Measure("ms", ".0f", scale=1000) for measure in ("worst", "p50", "p99")},
    beside=("with nothing else going on",),
    arguments=arguments,
    quick={"records": 300},
)

if __name__ == "__main__":
    main(BENCH)

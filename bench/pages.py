"""How fast are public pages answered? We under gunicorn and under nginx, beside the limits and what people use today.

``python -m bench.pages [--pages 1000] [--seconds 5] [--rounds 3] [--no-peers] [--json]``; needs wrk and nginx. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.contestants import Contestant, nginx, wagtail, warm, wsgi
from bench.measure import TOP, free_port, summary, wait_for
from bench.pull import machine
from deploy.local.processes import stop
from deploy.local.replica import Replica

CONNECTIONS = 16
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
LUA = """local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local at = math.random(#paths)
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""
PLAIN = "server {{ listen 80; root {root}; location / {{ try_files $uri.html =404; }} types {{ text/html html; }} etag on; }}"


def contestants(folder: Path, count: int, peers: bool) -> Iterator[Contestant]:
    """Yield everybody, ready to be started; edgecms first, which makes the files that the plain servers send.

    Without ``peers`` those are left out that have to be installed.
    """
    ours = Replica("MASTER01", "BENCH", "master", "", folder / "master", free_port(), extra={"WEB_CONCURRENCY": "2"})
    ours.must("migrate", "--verbosity", "0")
    made = ours.manage("shell", "--verbosity", "0", "-c", f"from bench.site import publish; publish({count})")
    paths = [line for line in made.stdout.splitlines() if line.startswith("/")]
    if len(paths) != count:
        raise RuntimeError(f"{len(paths)} of {count} pages were published: {made.stderr}")
    yield Contestant("edgecms, gunicorn", ours.url.replace("localhost", "127.0.0.1"), paths, ours.web)
    pages = ours.folder / "pages"
    site = (TOP / "deploy" / "nginx" / "edgecms.conf").read_text()
    site = site.replace("/srv/edgecms/pages", str(pages)).replace("127.0.0.1:8000", f"127.0.0.1:{ours.port}")
    yield nginx("edgecms, nginx", folder / "nginx-edgecms", site, paths)
    yield nginx("nginx, static files", folder / "nginx-static", PLAIN.format(root=pages), paths)
    yield wsgi("gunicorn, hello world", "bench.plain:hello", folder, ["/"])
    files = [f"{path}.html" for path in paths]
    yield wsgi("gunicorn + WhiteNoise", "bench.plain:files", folder, files, BENCH_FILES=str(pages))
    if peers:
        yield wagtail(folder, count, cached=True)
        yield wagtail(folder, count, cached=False)


def load(contestant: Contestant, folder: Path, seconds: float) -> dict[str, float]:
    """Return ``requests_per_second``, ``p50`` and ``p99`` (ms) under kept-alive connections over all pages."""
    script = folder / "paths.lua"
    (folder / "paths.txt").write_text("\n".join(contestant.paths))
    script.write_text(LUA % (folder / "paths.txt"))
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", str(script), contestant.url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"{contestant.name} failed under load:\n{out}")
    times = {name: float(value) * UNITS[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0])
    return {"requests_per_second": rate, "p50": times["50"], "p99": times["99"]}


def measure(folder: Path, count: int, seconds: float, rounds: int, peers: bool) -> list[dict[str, Any]]:
    """Run all rounds, everybody in turn, and return the figures of each."""
    everybody: list[Contestant] = []
    taken: dict[str, list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        for each in contestants(folder, count, peers):
            everybody.append(each)
            if each.why_not or each.process is None:
                continue
            each.process.start()
            stack.callback(stop, [each.process])
            wait_for(each.url + each.paths[0])
            warm(each, lambda text: len(text) > 2_000)
        for number in range(rounds):
            for each in everybody if number % 2 else reversed(everybody):
                if not each.why_not:
                    taken.setdefault(each.name, []).append(load(each, folder, seconds))
    keys = ("requests_per_second", "p50", "p99")
    figures = {name: {key: summary([one[key] for one in found]) for key in keys} for name, found in taken.items()}
    return [{"name": each.name, "why_not": each.why_not, **figures.get(each.name, {})} for each in everybody]


def table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    yield f"{result['pages']} pages, {CONNECTIONS} kept-alive connections, {result['rounds']} rounds of {result['seconds']:g} s each"
    rates = {one["name"]: one["requests_per_second"]["median"] for one in result["contestants"] if not one["why_not"]}
    yield f"{'':28}{'requests/s (min–max)':>28}{'p50 ms':>9}{'p99 ms':>9}{'of nginx':>10}{'of hello':>10}"
    for one in result["contestants"]:
        if one["why_not"]:
            yield f"{one['name']:28}not measured: {one['why_not']}"
            continue
        rate = one["requests_per_second"]
        limits = (rates.get("nginx, static files"), rates.get("gunicorn, hello world"))
        ratios = "".join(f"{rate['median'] / limit:>10.3f}" if limit else f"{'–':>10}" for limit in limits)
        span = f"{rate['median']:,.0f} ({rate['min']:,.0f}–{rate['max']:,.0f})"
        yield f"{one['name']:28}{span:>28}{one['p50']['median']:>9.2f}{one['p99']['median']:>9.2f}{ratios}"


def main() -> None:
    """Measure everybody and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1_000, help="how many different pages")
    parser.add_argument("--seconds", type=float, default=5, help="how long each is loaded in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, in turn")
    parser.add_argument("--no-peers", action="store_true", help="leave out what has to be installed first: Wagtail")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    about = machine()
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as name:
        Path(name).chmod(0o755)
        found = measure(Path(name), options.pages, options.seconds, options.rounds, not options.no_peers)
    result = {
        "machine": about,
        "pages": options.pages,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "contestants": found,
    }
    print(json.dumps(result) if options.json else "\n".join(table(result)))


if __name__ == "__main__":
    main()

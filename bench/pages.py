"""How fast are public pages answered? We under gunicorn and under nginx, beside the limits and what people use today.

``python -m bench.pages [--pages 1000] [--seconds 5]``; needs wrk and nginx. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import replicas
from bench.contestants import HELLO, NGINX, Contestant, nginx, wagtail, warm, wsgi
from bench.frame import Bench, CannotError, Measure, Options, Report, main, turns
from bench.machine import answer
from bench.measure import TOP, wait_for
from deploy.local.processes import stop

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
    ours = replicas.make("MASTER01", "master", folder / "master")
    made = replicas.inside(ours, "publish", count=count)
    paths = [line for line in made.stdout.splitlines() if line.startswith("/")]
    if len(paths) != count:
        raise RuntimeError(f"{len(paths)} of {count} pages were published")
    yield Contestant("edgecms, gunicorn", ours.url.replace("localhost", "127.0.0.1"), paths, ours.web)
    pages = ours.folder / "pages"
    site = (TOP / "deploy" / "nginx" / "edgecms.conf").read_text()
    site = site.replace("/srv/edgecms/pages", str(pages)).replace("127.0.0.1:8000", f"127.0.0.1:{ours.port}")
    yield nginx("edgecms, nginx", folder / "nginx-edgecms", site, paths)
    yield nginx(NGINX, folder / "nginx-static", PLAIN.format(root=pages), paths)
    yield wsgi(HELLO, "bench.plain:hello", folder, paths)
    files = [f"{path}.html" for path in paths]
    yield wsgi("gunicorn + WhiteNoise", "bench.plain:files", folder, files, BENCH_FILES=str(pages))
    if peers:
        yield wagtail(folder, count, cached=True)
        yield wagtail(folder, count, cached=False)


def load(contestant: Contestant, folder: Path, seconds: int) -> dict[str, float]:
    """Return ``requests_per_second``, ``p50`` and ``p99`` (ms) under kept-alive connections over all pages."""
    script = folder / "paths.lua"
    (folder / "paths.txt").write_text("\n".join(contestant.paths))
    script.write_text(LUA % (folder / "paths.txt"))
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), contestant.url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"{contestant.name} failed under load:\n{out}")
    times = {name: float(value) * UNITS[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0])
    return {"requests_per_second": rate, "p50": times["50"], "p99": times["99"]}


def measure(options: Options, report: Report) -> None:
    """Run all rounds, everybody in turn."""
    if not shutil.which("wrk"):
        raise CannotError("wrk is not installed; on Debian: apt-get install wrk")
    report.versions |= {
        "nginx": answer(["nginx", "-v"]).rpartition("/")[2],
        "wrk": answer(["dpkg-query", "-Wf", "${Version}", "wrk"]),
    }
    case = f"{options.pages:,} pages, {CONNECTIONS} kept-alive connections, {options.seconds} s each"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecms-bench-")))
        folder.chmod(0o755)
        everybody = []
        for each in contestants(folder, options.pages, not options.no_peers):
            if each.why_not or each.process is None:
                report.cannot(each.name, each.why_not)
                continue
            each.process.start()
            stack.callback(stop, [each.process])
            wait_for(each.url + each.paths[0])
            warm(each, lambda text: len(text) > 2_000)
            everybody.append(each)
            report.versions |= each.versions
        for number, each in turns(options.rounds, everybody):
            report.say(f"round {number}, {each.name}")
            report.take(case, each.name, **load(each, folder, options.seconds))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--pages", type=int, default=1_000, help="how many different pages (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each is loaded in each round (%(default)s)")


BENCH = Bench(
    __doc__,
    measure,
    {"requests_per_second": Measure("", ",.0f", more_is_better=True), "p50": Measure("ms"), "p99": Measure("ms")},
    beside=(NGINX, HELLO),
    arguments=arguments,
    quick={"pages": 5, "seconds": 1},
)

if __name__ == "__main__":
    main(BENCH)

"""How long does a reader wait for a page that is far away, and how long where an edge is near?

``python -m bench.distance``: a reader, an edge 20 ms away and an origin 180 ms away, in network namespaces joined by a router that
holds packets back; needs root, Linux and nginx. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import replicas
from bench.contestants import Contestant, nginx, wagtail
from bench.frame import Bench, CannotError, Measure, Options, Report, main, turns
from bench.machine import answer
from bench.measure import TOP
from bench.pages import PLAIN
from bench.router import Place, places
from deploy.local.processes import stop
from deploy.local.replica import Replica

EDGE, ORIGIN, READER = "edge", "origin", "reader"
NEAR, FAR, BETWEEN = 20.0, 180.0, 160.0  # milliseconds there and back
MODES = {"kept": "kept-alive connection", "fresh": "fresh connection"}
PORT, NGINX_PORT, PLAIN_PORT, WAGTAIL_PORT = 8000, 80, 81, 82


@dataclass
class Visit:
    """What a reader visits: its name, where, how often at most, and whether the edge pulls meanwhile."""

    name: str
    place: Place
    port: int
    paths: Sequence[str]
    count: int
    distance: float
    is_pulling: bool = False


class Sites:
    """The origin, a master, and the edge, which has pulled its pages."""

    def __init__(self, folder: Path, where: dict[str, Place], pages: int) -> None:
        self.folder, self.where, self.processes = folder, where, []
        common = {"ALLOWED_HOSTS": "*", "WEB_CONCURRENCY": "2"}
        origin_url, edge_url = (f"http://{where[name].address}:{port}" for name, port in ((ORIGIN, PORT), (EDGE, NGINX_PORT)))
        self.origin = replicas.make("MASTER01", "master", folder / "origin", port=PORT, EDGECMS_URL=origin_url, **common)
        self.edge = replicas.make("EDGE01", "edge", folder / "edge", farm="bench", port=PORT, EDGECMS_URL=edge_url, **common)
        replicas.inside(self.origin, "prepare", trust=[replicas.introduction(self.edge)])
        replicas.inside(self.edge, "prepare", trust=[replicas.introduction(self.origin)])
        made = replicas.inside(self.origin, "publish", count=pages)
        self.paths = [line for line in made.stdout.splitlines() if line.startswith("/")]

    def start(self) -> None:
        """Start both, and let the edge pull all pages."""
        for name, replica in ((ORIGIN, self.origin), (EDGE, self.edge)):
            self.run(name, self._web(replica))
            visit(self.where[READER], Visit(name, self.where[name], PORT, ["/"], 1, 0), "kept")
        done = subprocess.run(self.pull(), env=self.edge.env, cwd=TOP, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the edge could not pull:\n{done.stdout}{done.stderr}")

    def _web(self, replica: Replica) -> Contestant:
        replica.web.command[replica.web.command.index("--bind") + 1] = f"0.0.0.0:{PORT}"
        return Contestant(replica.name, "", self.paths, replica.web)

    def run(self, place: str, contestant: Contestant) -> None:
        """Start a server in a place."""
        assert contestant.process is not None
        contestant.process.command = [*self.where[place].enter, *contestant.process.command]
        contestant.process.start()
        self.processes.append(contestant.process)

    def pull(self) -> list[str]:
        """Return the command by which the edge pulls from the origin."""
        return [*self.where[EDGE].enter, sys.executable, "manage.py", "sync_pull", self.origin.name, "--json"]

    def stop(self) -> None:
        """End all servers."""
        stop(self.processes)


def visit(reader: Place, wanted: Visit, mode: str, pid: int = 0) -> list[float]:
    """Let the reader visit and return the milliseconds of each page."""
    words = [wanted.place.address, str(wanted.port), mode, str(wanted.count), str(pid), *wanted.paths]
    done = subprocess.run(
        [*reader.enter, sys.executable, "-m", "bench.visitor", *words], cwd=TOP, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{wanted.name} could not be visited:\n{done.stderr[-2000:]}")
    return list(json.loads(done.stdout))


def take(report: Report, wanted: Visit, mode: str, found: Sequence[float]) -> None:
    """Keep what a reader waited, and what of it is not distance: one journey there and back, two where he has to connect."""
    p50, p99 = statistics.median(found), sorted(found)[min(len(found) - 1, int(len(found) * 0.99))]
    away = wanted.distance * (2 if mode == "fresh" else 1)
    report.take(MODES[mode], wanted.name, p50=p50, p99=p99, added_p50=p50 - away, added_p99=p99 - away, samples=len(found))


def visits(sites: Sites, options: Options, report: Report) -> list[Visit]:
    """Start the servers and return what is visited."""
    near, far = sites.where[EDGE], sites.where[ORIGIN]
    pages = sites.edge.folder / "pages"
    site = (TOP / "deploy" / "nginx" / "edgecms.conf").read_text().replace("/srv/edgecms/pages", str(pages))
    ours = nginx("nginx", sites.folder / "nginx", site, sites.paths, f"0.0.0.0:{NGINX_PORT}")
    plain = nginx("plain", sites.folder / "plain", PLAIN.format(root=pages), sites.paths, f"0.0.0.0:{PLAIN_PORT}")
    if ours.why_not:
        raise CannotError(ours.why_not)
    sites.run(EDGE, ours), sites.run(EDGE, plain)
    wanted = [
        Visit("edgecms, gunicorn, at the origin", far, PORT, sites.paths, options.far, FAR),
        Visit("edgecms, nginx, at the edge", near, NGINX_PORT, sites.paths, options.near, NEAR),
        Visit("nginx, static file, at the edge", near, PLAIN_PORT, sites.paths, options.near, NEAR),
        Visit("edgecms, while the edge pulls", near, NGINX_PORT, sites.paths, options.pulling, NEAR, is_pulling=True),
        Visit("nginx, while the edge pulls", near, PLAIN_PORT, sites.paths, options.pulling, NEAR, is_pulling=True),
    ]
    if not options.no_peers:
        peer = wagtail(sites.folder, len(sites.paths), cached=False, bind=f"0.0.0.0:{WAGTAIL_PORT}")
        report.versions |= peer.versions
        if peer.why_not:
            report.cannot("Wagtail at the origin", peer.why_not)
        else:
            sites.run(ORIGIN, peer)
            wanted.insert(0, Visit("Wagtail, at the origin", far, WAGTAIL_PORT, peer.paths, options.far, FAR))
    return wanted


def pulling(sites: Sites, reader: Place, wanted: Sequence[Visit], report: Report) -> None:
    """Let readers visit all of ``wanted`` in all modes at once, while the edge pulls; what is left of the pull is for the next one."""
    before, jobs = replicas.count(sites.edge), [(each, mode) for each in wanted for mode in MODES]
    with (sites.folder / "pull.log").open("a") as log, ThreadPoolExecutor(len(jobs)) as pool:
        pull = subprocess.Popen(sites.pull(), env=sites.edge.env, cwd=TOP, stdout=log, stderr=log)
        try:
            while pull.poll() is None and replicas.count(sites.edge) == before:
                time.sleep(0.02)
            found = list(pool.map(lambda job: visit(reader, *job, pull.pid), jobs))
        finally:
            pull.terminate()
            pull.wait()
    for (each, mode), times in zip(jobs, found, strict=True):
        if len(times) < each.count:
            report.note(f"{each.name}, {MODES[mode]}: the pull ended after {len(times)} visits; --backlog takes more records")
        if times:
            take(report, each, mode, times)


def measure(options: Options, report: Report) -> None:
    """Make the three places and let the reader visit, round after round."""
    report.note("TCP without BBR; distances there and back: edge 20 ms, origin 180 ms, between these 160 ms")
    report.versions["nginx"] = answer(["nginx", "-v"]).rpartition("/")[2]
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(places({(READER, EDGE): NEAR, (READER, ORIGIN): FAR, (EDGE, ORIGIN): BETWEEN}))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecms-bench-")))
        folder.chmod(0o755)
        report.say("two sites and their pages")
        sites = Sites(folder, where, options.pages)
        stack.callback(sites.stop)
        sites.start()
        wanted = visits(sites, options, report)
        for each in wanted:
            visit(where[READER], each, "kept")  # so that every page has been rendered once
        report.say(f"{options.backlog:,} records that the edge will pull")
        replicas.inside(sites.origin, "prepare", trust=[], count=options.backlog, together=100)
        groups = [[each] for each in wanted if not each.is_pulling] + [[each for each in wanted if each.is_pulling]]
        for number, group in turns(options.rounds, groups):
            report.say(f"round {number}, {', '.join(each.name for each in group)}")
            if group[0].is_pulling:
                pulling(sites, where[READER], group, report)
                continue
            for mode in MODES:
                take(report, group[0], mode, visit(where[READER], group[0], mode))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--pages", type=int, default=20, help="how many different pages (%(default)s)")
    parser.add_argument("--near", type=int, default=150, help="visits to the edge in each round and mode (%(default)s)")
    parser.add_argument("--far", type=int, default=20, help="visits to the origin in each round and mode (%(default)s)")
    parser.add_argument(
        "--pulling", type=int, default=60, help="the same while the edge pulls, fewer if that ends (%(default)s)"
    )
    parser.add_argument("--backlog", type=int, default=60_000, help="records that the edge lacks while it pulls (%(default)s)")


BENCH = Bench(
    __doc__,
    measure,
    {
        "p50": Measure("ms", ".1f"),
        "p99": Measure("ms", ".1f"),
        "added_p50": Measure("ms"),
        "added_p99": Measure("ms"),
        "samples": Measure("", ".0f"),
    },
    beside=("Wagtail, at the origin", "nginx, static file, at the edge"),
    arguments=arguments,
    quick={"pages": 2, "near": 10, "far": 2, "pulling": 5, "backlog": 2_000},
)

if __name__ == "__main__":
    main(BENCH)

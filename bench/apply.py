"""What one record costs the receiver and the sender of a pull, alone in one process and without HTTP: seconds of the processor.

``python -m bench.apply [--records 10000] [--each 1] [--profile FILE]``; see docs/performance.md.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SLICE = 64 << 10
OURS = ("EDGECMS_", "DJANGO_", "DATABASE_URL", "REDIS_URL")


def settle_in(folder: Path, url: str) -> None:
    """Make this process a master with an empty database in ``folder``, or at ``url``."""
    for variable in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[variable]
    own = {"NODE": "MASTER01", "LOC": "BENCH", "ROLE": "master", "DATA": str(folder), "URL": "http://localhost:1"}
    os.environ.update({f"EDGECMS_{key}": value for key, value in own.items()})
    os.environ.update(DJANGO_SETTINGS_MODULE="edgecms.settings", DATABASE_URL=url)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


@contextmanager
def measured(into: dict[str, Any], name: str, count: int, profile: str) -> Iterator[None]:
    """Put microseconds of processor and wall for each of ``count`` into ``into``."""
    profiler = cProfile.Profile() if profile else None
    cpu, wall = time.process_time(), time.perf_counter()
    if profiler:
        profiler.enable()
    yield
    if profiler:
        profiler.disable()
    into[name] = {
        "cpu_us": round((time.process_time() - cpu) / count * 1e6, 1),
        "wall_us": round((time.perf_counter() - wall) / count * 1e6, 1),
    }
    if profiler:
        profiler.dump_stats(f"{profile}.{name}")
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def slices(frames: list[bytes]) -> Iterator[bytes]:
    """Yield the stream in pieces as they come over a connection."""
    body = b"".join(frames)
    return (body[start : start + SLICE] for start in range(0, len(body), SLICE))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=1, help="records in one changeset")
    parser.add_argument("--database-url", default="")
    parser.add_argument("--profile", default="", metavar="FILE", help="profile, print, and keep FILE.insert and so on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgecms-bench-") as folder:
        settle_in(Path(folder), options.database_url)
        print(json.dumps(run(options.records, options.each, options.profile)))


def run(count: int, each: int, profile: str) -> dict[str, Any]:
    """Receive new rows and changes of them, and send them on."""
    from bench.author import Author, frames
    from bench.records import records
    from sync import exchange, trust_admin, trusting
    from sync.core import wire
    from sync.core.policy import Role
    from sync.receive import receive

    author = Author()
    trust_admin.trust(author.name, Role.EDGE, "bench", "http://localhost:2", author.public)
    found: dict[str, Any] = {"records": count, "each": each}
    made: dict[str, Callable[..., Any]] = {"insert": author.insert, "update": author.update}
    for name, make in made.items():
        stream = list(frames(make(records(count, seed=1), each)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with measured(found, name, count, profile):
            receipt = receive(wire.frames(slices(stream)))
        assert receipt.applied == -(-count // each), receipt
        found[name]["grown_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        found[name]["wire_bytes"] = sum(map(len, stream)) // count
    me = peer = trusting.me()
    with measured(found, "send", 2 * count, profile):
        sent = sum(map(len, exchange.stream([], me, peer)))
    found["send"]["wire_bytes"] = sent // (2 * count)
    return found


if __name__ == "__main__":
    main()

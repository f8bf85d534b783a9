"""All benches, one after the other, and all tables at the end: ``python -m bench [NAME …] [--quick] [--show]``.

What other options there are is those of the benches, and they are passed on. Each result is kept in ``build/bench/results.json``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from typing import Any

from bench.frame import RESULTS, kept
from bench.machine import TOP
from bench.table import table

NAMES = ("pages", "distance", "sync", "farm", "turns", "editor", "growth", "compaction")


def main() -> int:
    """Run all that were named. Returns how many failed."""
    there = [name for name in NAMES if importlib.util.find_spec(f"bench.{name}")]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(there)}; all of them where none is named")
    parser.add_argument("--show", action="store_true", help="only print the tables of the last results")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options, others = parser.parse_known_args()
    if unknown := set(options.names) - set(there):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    names = options.names or there
    if options.show:
        results = {name: result for name, result in kept().items() if name in names}
    else:
        results = {name: one(name, others) for name in names}
    failed = [name for name, result in results.items() if result is None]
    if options.json:
        print(json.dumps(results))
    else:
        print("\n\n".join("\n".join(table(result)) for result in results.values() if result))
        print(*(f"{name} failed; what it said is above" for name in failed), sep="\n")
        print(f"\nResults for machines: {RESULTS.relative_to(TOP)}")
    return len(failed)


def one(name: str, options: list[str]) -> dict[str, Any] | None:
    """Run one bench in a process of its own and return its result; None where it failed."""
    command = [sys.executable, "-m", f"bench.{name}", "--json", *options]
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())

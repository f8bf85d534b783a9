"""Plant each bug and look which seed finds it: ``python -m tests.simulator.hunt`` writes the table in docs/simulator.md.

That the tests that are named find theirs: see ``tests.simulator.planting``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

LIMIT = int(os.environ.get("LIMIT", "40"))  # seeds that are tried: what these do not find has a test by name
PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


def main(names: list[str]) -> int:
    """Hunt the bugs ``names``, all by default; return how many were not found."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import logging

    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    from sync.simulator.runs import found_sites
    from sync.simulator.stores import SqliteStores
    from tests.simulator.bugs import BUGS

    missed = 0
    with SqliteStores() as stores:
        found_sites(stores)
        for name in names or BUGS:
            seed, error = hunt(BUGS[name], stores)
            missed += not seed
            print(f"{name}\t{seed}\t{error}", flush=True)
            enter(BUGS, name, seed, error)
    return missed


def enter(bugs: dict[str, Any], name: str, seed: int, error: str) -> None:
    """Write a line into the table of docs/simulator.md, in the order of ``bugs``; lines of mistakes that are none any more go."""
    head, mark, tail = PAGE.read_text().partition("| mistake | found by |\n|---|---|\n")
    rows = [line for line in tail.splitlines() if line.startswith("| `")]
    rest = tail.splitlines()[len(rows) :]
    known = {line.split("`")[1]: line for line in rows}
    findings = [f"seed {seed}: {shorten(error)}"] if seed else []
    findings += [f"by name `{bugs[name].test.split('::')[1]}`"] if bugs[name].test else []
    known[name] = f"| `{name}` {bugs[name].sentence} | {'; '.join(findings) or 'nobody'} |"
    PAGE.write_text(head + mark + "\n".join([*(known[each] for each in bugs if each in known), *rest]) + "\n")


def hunt(bug: object, stores: object, limit: int = LIMIT) -> tuple[int, str]:
    """Return the first seed that finds ``bug``, and what was wrong there; 0 where none of ``limit`` does."""
    from sync.simulator.runs import run_seed

    with bug.planted():  # type: ignore[attr-defined]
        for seed in range(1, limit + 1):
            outcome = run_seed(seed, stores)
            if outcome.failed:
                lines = [line for line in outcome.error.splitlines() if line.strip()]
                return seed, lines[0 if outcome.kind == "WrongError" else -1]
    return 0, ""


def shorten(error: str) -> str:
    """Return an error without the names of the replicas, rows and changesets of one run."""
    error = re.sub(r": (sync_|b').*", "", error)  # the name of a table looks like that of a command; and no digests
    text = re.sub(r"[A-Z0-9]+-SIM(-copy)?(-[0-9A-Z-]+)?", "…", error)
    return re.sub(r"\b[0-9a-f]{8}\b", "…", text)[:110].replace("|", "/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

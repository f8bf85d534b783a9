"""Simulate whole sites with the models of this one, and check that nothing is lost and all replicas agree."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sync.simulator import report, runs
from sync.simulator.script import Script
from sync.simulator.stores import SqliteStores, Stores
from sync.simulator.stores_postgresql import PostgresqlStores


class Command(BaseCommand):
    """``sync_simulate``."""

    help = (
        "Run simulated sites: several replicas with the models of this site, whose edits, clocks, partitions, crashes, restores "
        "and thieves one seed decides. Uses databases of its own, which are gone afterwards; the data of this replica is not touched."
    )
    requires_system_checks = ["edgecms", "sync"]

    def add_arguments(self, parser: CommandParser) -> None:
        """Take seeds, a limit of time, or a script."""
        parser.add_argument("--seeds", type=int, default=100, help="how many runs (100)")
        parser.add_argument("--start", type=int, default=1, help="the first seed (1)")
        parser.add_argument("--seconds", type=float, help="begin no further run after this time")
        parser.add_argument("--script", type=Path, help="run this script, as a failure prints it, instead of seeds")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines for people")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, report, and leave with status 1 where a promise was broken."""
        if options["seeds"] < 1 or options["start"] < 0:
            raise CommandError("--seeds is a number of 1 or more, --start of 0 or more", returncode=2)
        logging.disable(logging.CRITICAL)  # what simulated replicas complain of is no trouble of this one
        stores: Stores = PostgresqlStores() if connection.vendor == "postgresql" else SqliteStores()
        with stores:
            found = self._script(options["script"], stores) if options["script"] else self._seeds(options, stores)
        self._show(found, options["json"])
        if found["failed"]:
            sys.exit(1)

    def _script(self, path: Path, stores: Stores) -> dict[str, Any]:
        try:
            script = Script.decode(path.read_text())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{path} is no script as a failure prints it: {error}", returncode=2) from None
        outcome = runs.run(script, stores)
        self.stderr.write(report.describe(outcome))
        return self._summary([outcome.script.seed], [outcome] if outcome.failed else [], outcome.tally, 0.0, stores)

    def _seeds(self, options: dict[str, Any], stores: Stores) -> dict[str, Any]:
        began, tally, done = time.monotonic(), Counter[str](), list[int]()
        failed: list[runs.Outcome] = []
        console = Console(file=sys.stderr)
        columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[bad]} failed"))
        with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task("", total=options["seeds"], bad=0)
            for seed in range(options["start"], options["start"] + options["seeds"]):
                if options["seconds"] and time.monotonic() - began > options["seconds"]:
                    break
                outcome = runs.run_seed(seed, stores)
                done.append(seed)
                tally += outcome.tally
                if outcome.failed:
                    failed.append(runs.smallest(outcome, stores))
                    self.stderr.write(report.describe(failed[-1]))
                bar.update(task, advance=1, bad=len(failed))
        return self._summary(done, failed, tally, time.monotonic() - began, stores)

    @staticmethod
    def _summary(
        seeds: list[int], failed: list[runs.Outcome], tally: Counter[str], seconds: float, stores: Stores
    ) -> dict[str, Any]:
        faults = {kind: count for kind, count in sorted(tally.items()) if kind not in ("steps", "exchanges")}
        return {
            "database": stores.vendor,
            "seeds": len(seeds),
            "first": seeds[0] if seeds else None,
            "last": seeds[-1] if seeds else None,
            "steps": tally["steps"],
            "exchanges": tally["exchanges"],
            "faults": faults,
            "seconds": round(seconds, 1),
            "failed": [{"seed": o.script.seed, "error": o.error.strip(), "script": o.script.encode()} for o in failed],
        }

    def _show(self, found: dict[str, Any], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(
            f"{found['seeds']} seeds on {found['database']}: {found['steps']} steps, {found['exchanges']} exchanges, "
            f"{sum(found['faults'].values())} faults in {found['seconds']} s; {len(found['failed'])} failed"
        )
        self.stdout.write(", ".join(f"{kind} {count}" for kind, count in found["faults"].items()))

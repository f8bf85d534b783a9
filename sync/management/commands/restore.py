"""Put a backup of this replica back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from sync.backup.restoring import restore
from sync.management.progress import counting
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``restore``."""

    help = "Put a backup of this replica back, while nothing of it runs. It goes on under a new incarnation."
    replaces_everything = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PATH", help="a file made by backup")
        parser.add_argument(
            "--force", action="store_true", help="also where this replica has content of its own, which is kept aside"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        """Restore."""
        with counting("files unpacked") as count:
            return restore(Path(options["path"]), options["force"], count)

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """What there is now, what was before, what is left to do."""
        yield f"{report['replica']} is as it was at {report['made']}, and goes on as {report['origin'] or 'another origin'}"
        if report["aside"]:
            yield f"what was there is kept: {report['aside']}"
        if report["migrate"]:
            yield "the backup is of an older release; run: manage.py migrate"

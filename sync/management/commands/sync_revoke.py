"""Take a replica off the trusted list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sync import trust_admin
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``sync_revoke``."""

    help = (
        "Take a replica off the trusted list, everywhere the list reaches. What it made up to now goes on to count; with --from "
        "SEQ, what it made from that number on is quarantined, everywhere and in whatever order it arrives."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name and the number."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument(
            "--from", dest="start", type=int, metavar="SEQ", help="the first sequence number that no longer counts"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        """Write the revocation to the list."""
        if options["start"] is not None and options["start"] < 1:
            raise CommandError(f"--from is {options['start']}; sequence numbers begin with 1", returncode=2)
        return trust_admin.revoke(options["name"], options["start"])

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """One sentence."""
        return [f"{report['name']} is off the trusted list; {report['quarantined']} of its changesets are quarantined here."]

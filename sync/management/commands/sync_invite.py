"""Give out a one-time code by which a new replica comes in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sync import invites
from sync.core import address
from sync.core.policy import Role
from sync.management.reporting import ReportingCommand

YEAR = 365 * 24 * 60  # minutes


class Command(ReportingCommand):
    """``sync_invite``."""

    help = (
        "Print a one-time code, on a master. On the new replica, `sync_join CODE` then does what sync_trust does on both sides."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take role, farm and lifetime."""
        super().add_arguments(parser)
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument("--farm", default="", help="the farm of an edge, or the one that a node hosts")
        parser.add_argument("--minutes", type=float, default=60, help="how long the code can be used; 60 by default")

    def run(self, **options: Any) -> dict[str, Any]:
        """Make the code."""
        if not 0 < options["minutes"] <= YEAR:  # nan is neither
            raise CommandError(f"--minutes must be more than 0, and at most {YEAR}, a year", returncode=2)
        try:
            farm = address.farm(options["farm"])
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        code = invites.invite(Role(options["role"]), farm, timedelta(minutes=options["minutes"]))
        return {"code": code.encode(), "role": code.role, "farm": code.farm, "minutes": options["minutes"]}

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """What to do with it."""
        of = f" of {report['farm']}" if report["farm"] else ""
        return [
            f"On the new replica ({report['role']}{of}), within {report['minutes']:g} minutes:",
            f"  manage.py sync_join {report['code']}",
        ]

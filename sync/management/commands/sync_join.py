"""Come in by a one-time code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from sync import invites
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``sync_join``."""

    help = "Join a site by the code that `sync_invite` has printed on a master: it trusts this replica, and this one pins the root."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the code."""
        super().add_arguments(parser)
        parser.add_argument("code", metavar="CODE")

    def run(self, **options: Any) -> dict[str, Any]:
        """Join."""
        code = invites.join(options["code"])
        return {"joined": code.name, "root": code.root_name, "role": code.role, "farm": code.farm}

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """What comes next."""
        return [f"{report['joined']} trusts this replica, which has pinned {report['root']}. Next: manage.py sync_pull"]

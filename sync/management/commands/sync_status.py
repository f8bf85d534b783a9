"""Show the state of replication."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import status
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``sync_status``."""

    help = "Show peers and how far each is behind or ahead, what exists only here, conflicts, and what waits or is quarantined."

    def run(self, **options: Any) -> dict[str, Any]:
        """Return the figures."""
        return status.status()

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """A few lines, then one for each peer."""
        me = report["replica"]
        yield f"{me['name']} ({me['role']}{' of ' + me['farm'] if me['farm'] else ''}) at {me['url']}, origin {me['origin']}"
        yield f"digest {report['digest']}"
        counts = ("only_here", "conflicts", "deferred", "held", "quarantined", "orphans", "blobs_missing", "values_missing")
        yield ", ".join(f"{name.replace('_', ' ')} {report[name]}" for name in counts)
        for group in report["waiting"]:
            yield f"  {group['state']} {group['count']}: {group['reason']}, first {group['first']}"
        for peer in report["peers"]:
            contact = peer["last_contact"] or "never"
            trouble = f"; {peer['error']['code']}: {peer['error']['detail']}" if peer["error"] else ""
            yield f"  {peer['name']} ({peer['role']}): behind {peer['behind']}, ahead {peer['ahead']}, contact {contact}{trouble}"

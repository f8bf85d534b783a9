"""Print who this replica is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import conf, keys
from sync.management.reporting import ReportingCommand


def identity() -> dict[str, Any]:
    """Return name, role, farm, address and public key."""
    return {"name": conf.name(), "role": conf.role(), "farm": conf.farm(), "url": conf.url(), "key": keys.public_text()}


class Command(ReportingCommand):
    """``sync_identity``."""

    help = "Print this replica's name, role, farm, address and public key, and how another replica would trust it."

    def run(self, **options: Any) -> dict[str, Any]:
        """Return the identity."""
        return identity()

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """The identity, and the command that trusts it."""
        farm = f" --farm {report['farm']}" if report["farm"] else ""
        return [
            *super().lines(report),
            "",
            "To trust this replica, run elsewhere:",
            f"  manage.py sync_trust {report['name']} --role {report['role']}{farm} --url {report['url']} --key {report['key']}",
        ]

"""Try again what was deferred or quarantined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sync import isolation, replay
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``sync_replay``."""

    help = (
        "Try again what was deferred or quarantined: changesets that could not be applied, that did not count, or whose time has "
        "come; rows that could not be shown. Reports what became of each."
    )

    def run(self, **options: Any) -> dict[str, Any]:
        """Try everything once."""
        return replay.replay()

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """One line in all, then one for each."""
        yield (
            f"applied {report['applied']}, released {report['released']}, shown {report['shown']}; "
            f"still quarantined {report['quarantined']}, held {report['held']}, deferred {report['deferred']}"
        )
        for item in report["changesets"]:
            reason = f": {item['reason']}" if item["reason"] else ""
            yield f"  {item['origin']} {item['scope']} {item['seq']} {item['result']}{reason}"
        for row in report["rows"]:
            yield f"  {row['model']} {row['token']} {row['result']}{': ' + row['reason'] if row['reason'] else ''}"

    def failures(self, report: dict[str, Any]) -> Iterable[str]:
        """One line for each changeset that could not be applied again, and each row that could not be shown.

        What does not count by the list, or is held for its clock, is no failure: it is where it belongs.
        """
        for item in report["changesets"]:
            if item["reason"].startswith(isolation.FAILED):
                yield f"{item['origin']} {item['scope']} {item['seq']}: {item['reason']}"
        unshown = [row for row in report["rows"] if row["result"] == "deferred"]
        for row in unshown:
            yield f"{row['model']} {row['token']}: {row['reason']}"
        if report["deferred"] > len(unshown):
            yield f"{report['deferred'] - len(unshown)} more rows stay deferred"

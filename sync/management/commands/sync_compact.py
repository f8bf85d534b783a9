"""Drop superseded values that a master holds, and pack the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sync import compact, conf, sweep
from sync.core.policy import Role
from sync.management.reporting import ReportingCommand

logger = logging.getLogger(__name__)


class Command(ReportingCommand):
    """``sync_compact``."""

    help = (
        "Drop long values that were overwritten and that a master holds, pack the log, give the room back. Heads of changesets are "
        "never dropped, and what was dropped is fetched again when history asks for it. Not on a master."
    )

    def run(self, **options: Any) -> dict[str, Any]:
        """Ask the masters what they hold; those that do not answer are taken as they were last seen. Then compact."""
        if conf.role() != Role.MASTER:
            sweep.ask_masters()
        return asdict(compact.compact(lambda count: logger.info("%d changesets so far", count)))

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """What was dropped, and what that brought."""
        if not report["masters"]:
            yield "No master was seen to hold anything yet, so no value was dropped."
        yield f"{report['values_dropped']} values ({report['bytes_dropped']} bytes) dropped, of {report['changesets']} changesets."
        yield f"The log has {report['segments_after']} segments (before: {report['segments_before']})."
        yield f"The database has {report['bytes_after']} bytes (before: {report['bytes_before']})."

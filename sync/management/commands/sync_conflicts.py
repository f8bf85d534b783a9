"""List open conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sync import conflicts
from sync.management.reporting import ReportingCommand

LONGEST = 100  # characters of a value


class Command(ReportingCommand):
    """``sync_conflicts``."""

    help = "List the conflicts that a person has to decide, with all values, who wrote them, where and when."

    def run(self, **options: Any) -> dict[str, Any]:
        """Return the conflicts."""
        return {"conflicts": [conflict.as_json() for conflict in conflicts.conflicts()]}

    def lines(self, report: dict[str, Any]) -> Iterator[str]:
        """A line for each conflict, and one for each of its sides."""
        for conflict in report["conflicts"]:
            yield from _told(conflict)
        if not report["conflicts"]:
            yield "no conflicts"


def _told(conflict: dict[str, Any]) -> Iterable[str]:
    where = f"{conflict['model']} {conflict['token']} ({conflict['row']})"
    if conflict["kind"] == "deletion":
        yield f"{where}: deleted, and kept by what the deletion had not seen"
        sides = [("kept by", conflict["shown"]), *(("deleted by", other) for other in conflict["others"])]
    else:
        yield f"{where}: {conflict['field']}"
        sides = [("shown", conflict["shown"]), *(("other", other) for other in conflict["others"])]
    for label, side in sides:
        if side is not None:
            value = "" if label == "deleted by" else f": {_short(side)}"
            yield f"  {label:10} {side['author'] or 'nobody named'} at {side['origin']}, {side['time']}{value}"


def _short(side: dict[str, Any]) -> str:
    text = repr(side["value"]) if side["is_held"] else "(dropped here)"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

"""Pull from peers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from sync import plan
from sync.core.policy import Verb
from sync.management.exchanging import ExchangeCommand


class Command(ExchangeCommand):
    """``sync_pull``."""

    help = "Pull what is new from the peers that this replica may pull from: changesets first, then missing media."
    verb = Verb.PULL

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--plan``."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="show what would change, and change nothing")

    def run(self, **options: Any) -> dict[str, Any]:
        """Pull, or only look."""
        if options["plan"]:
            chosen, refused = self.chosen(options["peers"])
            return {"peers": [*refused, *(plan.plan(peer) for peer in chosen)]}
        return super().run(**options)

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """With ``--plan``, the rows by model."""
        for peer in report["peers"]:
            for model, rows in peer.get("rows", {}).items():
                yield f"{peer['name']}: {rows} rows of {model} would change"
        yield from super().lines(report)

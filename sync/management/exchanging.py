"""What ``sync_pull`` and ``sync_push`` share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sync import conversation, peers, result, sweep
from sync.core.errors import SyncError
from sync.core.policy import Verb
from sync.core.token import REPLICA
from sync.management.progress import counting
from sync.management.reporting import ReportingCommand
from sync.peers import Listed


class ExchangeCommand(ReportingCommand):
    """Pulls from, or pushes to, the peers that the rule allows."""

    verb: Verb

    def add_arguments(self, parser: CommandParser) -> None:
        """Take names of peers."""
        super().add_arguments(parser)
        parser.add_argument(
            "peers", nargs="*", metavar="PEER", help="names such as MASTER01-LON; all that the rule allows by default"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        """Exchange with each peer, showing the count of changesets."""
        chosen, refused = self.chosen(options["peers"])
        sweep.prepare()
        return {"peers": [*refused, *(self._exchange(peer).as_json() for peer in chosen)]}

    def _exchange(self, peer: Listed) -> result.Result:
        with counting("changesets", f"{self.verb} {peer.name}") as count:
            return conversation.exchange_with(peer, {self.verb}, count)

    def chosen(self, names: Iterable[str]) -> tuple[list[Listed], list[dict[str, Any]]]:
        """Return the peers to exchange with, and the reports of those among ``names`` with whom the rule forbids it."""
        if not names:
            return peers.allowed(self.verb), []
        found, refused = [], []
        for name in dict.fromkeys(names):
            if not REPLICA.fullmatch(name):
                raise CommandError(f"{name!r} is no name of a replica; one looks like EDGE07-LON", returncode=2)
            try:
                found.append(peers.named(name, self.verb))
            except SyncError as error:
                refused.append(result.refused(name, error).as_json())
        return found, refused

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """One line for each peer that worked."""
        if not report["peers"]:
            return [f"nobody to {self.verb}: the trusted list has no peer that this role may {self.verb}"]
        return [
            f"{p['name']}: sent {p['sent']}, received {p['received']}, applied {p['applied']} in {p['seconds']} s"
            for p in report["peers"]
            if p["ok"]
        ]

    def failures(self, report: dict[str, Any]) -> Iterable[str]:
        """One line for each peer that did not."""
        return [f"{p['name']}: {p['error']['code']}: {p['error']['detail']}" for p in report["peers"] if not p["ok"]]

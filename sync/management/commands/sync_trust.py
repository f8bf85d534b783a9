"""Put a replica on the trusted list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sync import conf, trust_admin
from sync.core import address
from sync.core.policy import Role
from sync.core.signing import parse_key
from sync.core.token import REPLICA
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``sync_trust``."""

    help = (
        "Put a replica on the trusted list. On a master the entry replicates to everybody. On a node or edge it pins the site's "
        "root, its first master, through which the rest of the list is learned."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what `sync_identity` prints."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="such as EDGE07-LON")
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument("--farm", default="", help="the farm of an edge, or the one that a node hosts")
        parser.add_argument("--url", default="", help="where the replica is reached")
        parser.add_argument("--root", action="store_true", help="on a second master: NAME is the root of the site, so pin it")
        parser.add_argument("--key", required=True, help="its public key, ed25519:…, as its sync_identity prints it")

    def run(self, **options: Any) -> dict[str, Any]:
        """Check the words, then enter or pin."""
        if not REPLICA.fullmatch(options["name"]):
            raise CommandError(f"{options['name']!r} is no name of a replica; one looks like EDGE07-LON", returncode=2)
        try:
            farm = address.farm(options["farm"])
            url = options["url"] and address.origin(options["url"])
            parse_key(options["key"])
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        return trust_admin.trust(
            options["name"],
            Role(options["role"]),
            farm,
            url,
            options["key"],
            is_root=options["root"],
        )

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """One sentence."""
        done = {
            "entered": "is on the trusted list",
            "pinned": "is pinned as the root of the site",
            "unchanged": "was there already",
        }
        yield f"{report['name']} ({report['role']}) {done[report['result']]}."
        if not report["url"]:
            yield "It has no address, so nobody will call it; give one with --url."
        if report["role"] == Role.MASTER and report["result"] == "entered" and report["root"] == conf.name():
            yield f"{conf.name()} is the root of its site. If {report['name']} is, say so with --root."

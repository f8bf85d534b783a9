"""Compare this replica with its log, and with a peer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sync import peers, verify
from sync.compare import compare
from sync.core.errors import SyncError
from sync.core.policy import Verb
from sync.core.token import REPLICA
from sync.management.reporting import ReportingCommand
from sync.repair import repair


class Command(ReportingCommand):
    """``sync_verify``."""

    help = (
        "Derive rows and registers from the log and name each row and field that stands otherwise in the tables; then compare with "
        "PEER, if one is named. Changes nothing, unless --repair is given: what differs from the log is put right first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--repair``."""
        super().add_arguments(parser)
        parser.add_argument("peer", nargs="?", metavar="PEER", help="a replica to compare with besides, such as MASTER01-LON")
        parser.add_argument("--repair", action="store_true", help="put right from the log what differs here")

    def run(self, **options: Any) -> dict[str, Any]:
        """Compare; where asked to, repair and compare again."""
        name = options["peer"]
        if name is not None and not REPLICA.fullmatch(name):
            raise CommandError(f"{name!r} is no name of a replica; one looks like EDGE07-LON", returncode=2)
        found = list(verify.verify())
        repaired = 0
        if options["repair"] and found:
            repaired = repair(found)
            found = list(verify.verify())
        with_peer = _compared(name) if name else {}
        differences = [*(d.as_json() for d in found), *with_peer.pop("differences", [])]
        return {
            "ok": not differences and "error" not in with_peer,
            "differences": differences,
            "repaired": repaired,
            **with_peer,
        }

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """What was found right, or put right."""
        if report["repaired"]:
            yield f"{report['repaired']} rows were derived from the log again."
        if not report["differences"]:
            yield "Rows, registers, claims and digest are what the log says."
        if "peer" in report:
            peer = report["peer"]
            count = sum("by" in d for d in report["differences"])
            yield f"{peer['name']}: {count} differences; behind it by {peer['behind']} changesets, ahead by {peer['ahead']}."

    def failures(self, report: dict[str, Any]) -> Iterable[str]:
        """One line for each difference, and one where the peer could not be compared with."""
        for d in report["differences"]:
            where = f"{d['model']} {d['token']}{' ' + d['field'] if d['field'] else ''}".strip()
            there = f"at {d['by']} ({d['why']})" if "by" in d else "by the log"
            yield f"{d['what']} {where}: {d['here']!r} here, {d['there']!r} {there}"
        if "error" in report:
            yield f"{report['error']['code']}: {report['error']['detail']}"


def _compared(name: str) -> dict[str, Any]:
    """Return ``differences`` with the peer ``name`` and what is to be said of it, ``peer``; or why there is no answer, ``error``."""
    try:
        found = compare(peers.named(name, Verb.PULL))
    except SyncError as error:
        return {"error": {"code": error.code, "detail": str(error)}}
    return {"differences": found.pop("differences"), "peer": found}

"""Copy this replica into one file while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from sync.backup.making import make
from sync.management.progress import counting
from sync.management.reporting import ReportingCommand


class Command(ReportingCommand):
    """``backup``."""

    help = (
        "Copy database, media and keys into one file, while the replica runs. The file holds the private key: keep it secret."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PATH", help="the file to make, such as /backup/edge01.tar.zst; it must not exist")

    def run(self, **options: Any) -> dict[str, Any]:
        """Make the backup."""
        with counting("files copied") as count:
            return make(Path(options["path"]), count)

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """One line."""
        yield f"{report['path']}: {report['bytes']} bytes, {report['media']} media, of {report['origin']}, in {report['seconds']} s"

    def failures(self, report: dict[str, Any]) -> Iterable[str]:
        """One line for each blob that was left out."""
        return [f"{digest}: the file is damaged and was left out; another replica may have it" for digest in report["damaged"]]

"""What the commands of replication share: ``--json``, lines for people, exit statuses 0, 1 and 2."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, OperationalError, ProgrammingError

from sync import conf, lease, pending, storage, upgrades
from sync.core.errors import NeedsOperatorError, SyncError
from sync.db import sql
from sync.models import Invite, Local


def require_migrated() -> None:
    """Raise SyncError where the database does not answer, or is not, or only half, one of this release."""
    try:
        for model in (Local, Invite):
            sql.exists(model._meta.db_table, "1 = 1")
    except (OperationalError, ProgrammingError) as error:
        known = storage.as_sync_error(error)
        raise known or NeedsOperatorError(f"the database is not ready ({error}); run: manage.py migrate") from None
    if unfinished := upgrades.why_unfinished():
        raise NeedsOperatorError(unfinished)


@contextmanager
def told(command: BaseCommand, as_json: bool, advice: str = "") -> Iterator[None]:
    """Leave with status 1 where what is done within fails as a whole: a line, with ``advice``, and one object where it is asked for.

    What is no fault of the world, but one of the program, goes on its way.
    """
    try:
        yield
    except (SyncError, DatabaseError, OSError, sqlite3.Error) as problem:
        error = storage.as_sync_error(problem)
        if error is None:
            raise
        if as_json:
            command.stdout.write(json.dumps({"error": {"code": error.code, "detail": f"{error}{advice}"}}, ensure_ascii=False))
        command.stderr.write(f"{error.code}: {error}{advice}")
        sys.exit(1)


class ReportingCommand(BaseCommand):
    """A command that reports one object. Exit status 0: all of it worked; 1: some did not, a line for each on stderr; 2: usage."""

    requires_system_checks = ["edgecms", "sync"]
    replaces_everything = False  # whether it takes the lease alone, and looks itself for what there is

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines for people")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, report, and leave with the status that tells how it went."""
        with ExitStack() as stack:
            stack.enter_context(told(self, options["json"]))
            if not self.replaces_everything:
                require_migrated()
                stack.enter_context(lease.shared(conf.data()))
            with pending.written_by(self.__module__.rsplit(".", 1)[-1]):
                report = self.run(**options)
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False, default=str))
        else:
            for line in self.lines(report):
                self.stdout.write(line)
        failures = list(self.failures(report))
        for line in failures:
            self.stderr.write(line)
        if failures:
            sys.exit(1)

    def run(self, **options: Any) -> dict[str, Any]:
        """Do the work and return the report. May raise SyncError."""
        raise NotImplementedError

    def lines(self, report: dict[str, Any]) -> Iterable[str]:
        """Return the report for people."""
        return [f"{key}: {value}" for key, value in report.items()]

    def failures(self, report: dict[str, Any]) -> Iterable[str]:
        """Return a line for each part that did not work."""
        return []

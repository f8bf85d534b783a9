"""What the commands of replication share: ``--json``, lines for people, exit statuses 0, 1 and 2."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, OperationalError, ProgrammingError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sync import conf, conversation, lease, peers, pending, storage, sweep
from sync.core.errors import SyncError
from sync.core.policy import Verb
from sync.core.token import REPLICA
from sync.models import Invite, Local
from sync.peers import Listed

logger = logging.getLogger(__name__)


def require_migrated() -> None:
    """Raise CommandError where the database does not answer, or has not the tables of this release."""
    try:
        Local.objects.exists()
        Invite.objects.exists()
    except (OperationalError, ProgrammingError) as error:
        if known := storage.as_sync_error(error):
            raise CommandError(f"{known.code}: {known}") from None
        raise CommandError(f"the database is not ready ({error}); run: manage.py migrate") from None


LOG_EVERY = 200  # changesets


class ReportingCommand(BaseCommand):
    """A command that reports one object. Exit status 0: all of it worked; 1: some did not, a line for each on stderr; 2: usage."""

    requires_system_checks = ["edgecms", "sync"]
    replaces_everything = False  # whether it takes the lease alone, and looks itself for what there is

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines for people")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, report, and leave with the status that tells how it went."""
        if self.replaces_everything:
            return self._report(**options)
        require_migrated()
        try:
            with lease.shared(conf.data()):
                self._report(**options)
        except lease.BusyError as error:
            raise CommandError(str(error)) from None

    def _report(self, **options: Any) -> None:
        try:
            with pending.written_by(self.__module__.rsplit(".", 1)[-1]):
                report = self.run(**options)
        except (SyncError, DatabaseError, OSError) as problem:
            error = storage.as_sync_error(problem)
            if error is None:
                raise
            if options["json"]:
                self.stdout.write(json.dumps({"error": {"code": error.code, "detail": str(error)}}))
            self.stderr.write(f"{error.code}: {error}")
            sys.exit(1)
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


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts ``what`` is done: on a terminal as it goes, elsewhere by a line in the log now and then."""
    console, done = Console(file=sys.stderr), 0
    columns = (SpinnerColumn(), TextColumn("{task.completed} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def count(more: int) -> None:
            nonlocal done
            bar.advance(task, more)
            if not console.is_terminal and (done + more) // LOG_EVERY > done // LOG_EVERY:
                logger.info("%d %s so far", done + more, what)
            done += more

        yield count


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
        """Exchange with each peer, showing the count of changesets on a terminal."""
        chosen, refused = self.chosen(options["peers"])
        sweep.prepare()
        console = Console(file=sys.stderr)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed} changesets"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            one = self._shown(bar) if console.is_terminal else self._logged
            return {"peers": [*refused, *(one(peer).as_json() for peer in chosen)]}

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
                refused.append(conversation.refused(name, error).as_json())
        return found, refused

    def _shown(self, bar: Progress) -> Callable[[Listed], conversation.Result]:
        def exchange(peer: Listed) -> conversation.Result:
            task = bar.add_task(f"{self.verb} {peer.name}", total=None)
            result = conversation.exchange_with(peer, {self.verb}, lambda count: bar.advance(task, count))
            bar.remove_task(task)
            return result

        return exchange

    def _logged(self, peer: Listed) -> conversation.Result:
        """Exchange with a line in the log every ``LOG_EVERY`` changesets."""
        done = 0

        def count(more: int) -> None:
            nonlocal done
            if (done + more) // LOG_EVERY > done // LOG_EVERY:
                logger.info("%s %s: %d changesets so far", self.verb, peer.name, done + more)
            done += more

        return conversation.exchange_with(peer, {self.verb}, count)

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

"""Exchange for ever: at once on a local change, and every interval."""

from __future__ import annotations

import json
import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections, connection

from sync import conf, conversation, jobs, lease, pending, storage, sweep
from sync.db.sqlite3.keeper import keep_open
from sync.management.reporting import require_migrated, told

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MAX_DELAY = 0.25  # seconds between two looks into a quiet queue by which nobody can be woken


class Command(BaseCommand):
    """``sync_worker``."""

    help = (
        "Pull and push for ever: at once on a local change, and every EDGECMS_SYNC_INTERVAL seconds besides. Stop with Ctrl-C."
    )
    requires_system_checks = ["edgecms", "sync"]

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="when stopped, print one JSON object with what was exchanged")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a consumer of wake-ups beside the sweep, until a signal asks to stop."""
        with told(self, options["json"]):
            require_migrated()
            self._prepare()
        stop, due = threading.Event(), jobs.queue().recovered

        def ask_to_stop(*_: Any) -> None:
            stop.set()
            due.set()
            sweep.stop()
            jobs.queue().nudge()

        jobs.task()
        jobs.queue().listen()
        consumer = jobs.queue().create_consumer(
            workers=1, periodic=False, initial_delay=0.02, backoff=1.3, max_delay=MAX_DELAY, check_worker_health=True
        )
        # The consumer sets handlers of its own when it starts, which know nothing of the sweep; ours come after them.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        consumer.start()
        for number in SIGNALS:
            signal.signal(number, ask_to_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        logger.info("%s exchanges every %g s and at once on a change", conf.name(), conf.interval())
        try:
            while not stop.is_set():
                due.clear()
                self._sweep()
                due.wait(conf.interval())
        finally:
            consumer.stop(graceful=True)
            jobs.queue().leave()
            connection.close()
        if options["json"]:
            counts = {name: conversation.tally[name] for name in ("exchanges", "failed", "sent", "received", "applied")}
            self.stdout.write(json.dumps(counts))

    @staticmethod
    def _prepare() -> None:
        """Take the lease, open the database and the queue. May raise SyncError, OSError and sqlite3.Error."""
        lease.keep(conf.data())
        keep_open()
        jobs.queue()

    @staticmethod
    def _sweep() -> None:
        close_old_connections()
        try:
            with pending.written_by("sync_worker"):
                for result in sweep.sweep(at_once=True):
                    if result.error:
                        logger.warning("%s: %s", result.error["code"], result.error["detail"])
                    elif result.applied or result.sent:
                        logger.info(
                            "%s: applied %d, sent %d in %.2f s", result.name, result.applied, result.sent, result.seconds
                        )
        except Exception as error:  # the worker outlives whatever a sweep meets; the next one tries again
            if known := storage.as_sync_error(error):
                logger.error("%s: %s", known.code, known)
            else:
                logger.exception("the sweep failed; the next one tries again")

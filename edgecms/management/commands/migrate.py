"""Django's ``migrate``, which can be killed at any moment: a migration and the note that it was applied are one transaction.

What follows the last migration, such as the rows in new columns, is no part of it. So from the first of them until all of that is
done a note stands in the folder of the replica (``sync.upgrades``), and what is started in between says that it has to be run again.
"""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from sync import storage, upgrades


class WholeExecutor(MigrationExecutor):
    """Commits each migration together with its note.

    Django writes the note after the commit where statements were deferred to the end, as the making of indexes is. Killed
    between the two, the next ``migrate`` would stumble over tables that are there already.
    """

    def apply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
    ) -> ProjectState:
        """Run a migration forwards."""
        upgrades.begin()
        if not migration.atomic:
            return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)
        # SQLite cannot switch its constraints off within a transaction, and asks for it before it changes tables.
        with self.connection.constraint_checks_disabled(), transaction.atomic(using=self.connection.alias):
            return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)

    def unapply_migration(self, state: ProjectState, migration: Migration, fake: bool = False) -> ProjectState:
        """Run a migration backwards."""
        upgrades.begin()
        if not migration.atomic:
            return super().unapply_migration(state, migration, fake=fake)
        with self.connection.constraint_checks_disabled(), transaction.atomic(using=self.connection.alias):
            return super().unapply_migration(state, migration, fake=fake)


class Command(migrate.Command):
    """Django's own, with our executor."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate. The executor is put where Django's command looks for it: there is no other way in."""
        migrate.MigrationExecutor = WholeExecutor  # type: ignore[attr-defined]
        try:
            super().handle(*args, **options)
            if not (options["plan"] or options["check_unapplied"]):
                upgrades.end()
        except (DatabaseError, OSError) as error:
            if known := storage.trouble(error):
                raise CommandError(f"{known.code}: {known}") from None
            raise

"""Django's ``migrate``, which can be killed at any moment: a migration and the note that it was applied are one transaction."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from sync import storage


class WholeExecutor(MigrationExecutor):
    """Commits each migration together with its note.

    Django writes the note after the commit where statements were deferred to the end, as the making of indexes is. Killed
    between the two, the next ``migrate`` would stumble over tables that are there already.
    """

    def apply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
    ) -> ProjectState:
        """Run a migration forwards."""
        if not migration.atomic:
            return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)
        # SQLite cannot switch its constraints off within a transaction, and asks for it before it changes tables.
        with self.connection.constraint_checks_disabled(), transaction.atomic(using=self.connection.alias):
            return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)

    def unapply_migration(self, state: ProjectState, migration: Migration, fake: bool = False) -> ProjectState:
        """Run a migration backwards."""
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
        except (DatabaseError, OSError) as error:
            if known := storage.trouble(error):
                raise CommandError(f"{known.code}: {known}") from None
            raise

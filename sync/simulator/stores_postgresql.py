"""Databases of simulated replicas on a PostgreSQL server: a pool of copies of one migrated template, dropped afterwards."""

from __future__ import annotations

import copy
import os
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from sync.registry import all_specs
from sync.simulator.stores import Image, Stores, migrated

PREFIX = "edgecms_simulated"


class PostgresqlStores(Stores):
    """Databases beside the one that ``DATABASE_URL`` names; an image is what their tables hold, as ``COPY`` writes it."""

    vendor = "postgresql"

    def __init__(self) -> None:
        super().__init__()
        self._all: list[BaseDatabaseWrapper] = []
        self._template = f"{PREFIX}_{os.getpid()}"
        self._tables: list[tuple[str, str | None]] = []  # the tables that runs write to, each with its sequence

    def migrate(self) -> None:
        """Make the template. Some seconds. Needs the right to make databases."""
        self._administer(f'CREATE DATABASE "{self._template}"')
        wrapper = self._connect(self._template)
        migrated(wrapper)
        sync = apps.get_app_config("sync").get_models()
        names = {model._meta.db_table for model in sync} | {spec.table for spec in all_specs()}
        with wrapper.cursor() as cursor:
            found = wrapper.introspection.get_sequences
            self._tables = [(n, next((str(s["name"]) for s in found(cursor, n) if s.get("name")), None)) for n in sorted(names)]
        self.template = self.take(wrapper)
        wrapper.close()

    def _connect(self, name: str) -> BaseDatabaseWrapper:
        options: dict[str, Any] = copy.deepcopy(connections.settings["default"])
        kept = {key: value for key, value in options["OPTIONS"].items() if key != "pool"}
        options.update(NAME=name, OPTIONS={**kept, "options": "-c synchronous_commit=off"})
        wrapper: BaseDatabaseWrapper = load_backend(options["ENGINE"]).DatabaseWrapper(options, "default")
        wrapper.ensure_connection()
        return wrapper

    def _administer(self, statement: str) -> None:
        with connections["default"]._nodb_cursor() as cursor:
            cursor.execute(statement)

    def _fresh(self) -> BaseDatabaseWrapper:
        name = f"{self._template}_{len(self._all) + 1}"
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        wrapper = self._connect(name)
        self._all.append(wrapper)
        return wrapper

    def take(self, wrapper: BaseDatabaseWrapper) -> Image:
        """Return what the tables hold."""
        image: dict[str, bytes] = {}
        with wrapper.cursor() as cursor:
            for table, _ in self._tables:
                with cursor.copy(f'COPY "{table}" TO STDOUT') as lines:
                    image[table] = b"".join(bytes(line) for line in lines)
        return image

    def put(self, wrapper: BaseDatabaseWrapper, image: Image) -> None:
        """Let the tables hold ``image`` and nothing else; numbers that were given out are not given out again."""
        with wrapper.cursor() as cursor:
            cursor.execute("BEGIN; " + "; ".join(f'DELETE FROM "{table}"' for table, _ in self._tables))  # noqa: S608
            for table, content in image.items():
                if content:
                    with cursor.copy(f'COPY "{table}" FROM STDIN') as lines:
                        lines.write(content)
            cursor.execute("COMMIT; " + "; ".join(self._after(table, name) for table, name in self._tables if name))

    @staticmethod
    def _after(table: str, sequence: str) -> str:
        key = next(m for m in apps.get_models() if m._meta.db_table == table)._meta.pk.column
        most = f'(SELECT COALESCE(MAX("{key}"), 1) FROM "{table}")'  # noqa: S608
        return f"SELECT setval('\"{sequence}\"', GREATEST(nextval('\"{sequence}\"'), {most}))"

    def close(self) -> None:
        """Drop all databases."""
        for wrapper in self._all:
            wrapper.close()
            self._administer(f'DROP DATABASE IF EXISTS "{wrapper.settings_dict["NAME"]}"')
        self._administer(f'DROP DATABASE IF EXISTS "{self._template}"')
        self._all.clear()
        self._free.clear()

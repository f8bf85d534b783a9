"""Databases of simulated replicas: made from one migrated template, copied and put back in a moment, gone afterwards."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from sync.models import Local

Image = Any  # a whole database, as its store keeps it


@contextmanager
def using(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """Let ``wrapper`` be the default database within."""
    before = connections["default"]
    connections["default"] = wrapper
    try:
        yield
    finally:
        connections["default"] = before


def migrated(wrapper: BaseDatabaseWrapper) -> None:
    """Bring an empty database up to this release."""
    with using(wrapper), tempfile.TemporaryDirectory(prefix="edgecms-simulated-") as folder:
        with patch.object(settings, "SYNC", {**settings.SYNC, "DATA": Path(folder)}):
            call_command("migrate", verbosity=0, interactive=False)
        Local.objects.all().delete()  # who a replica is, each of them says for itself


class Stores:
    """Gives out databases. Use it as a context manager: it makes its template, and leaves nothing behind."""

    vendor: str
    template: Image

    def __init__(self) -> None:
        self._free: list[BaseDatabaseWrapper] = []
        # Sites that were brought up before, by who takes part: the database and the mark of each replica.
        self.sites: dict[Any, list[tuple[Image, bytes | None]]] = {}

    def __enter__(self) -> Stores:
        try:
            self.migrate()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, image: Image = None) -> BaseDatabaseWrapper:
        """Return a connection to a database that holds ``image``, the template by default."""
        wrapper = self._free.pop() if self._free else self._fresh()
        self.put(wrapper, image if image is not None else self.template)
        return wrapper

    def release(self, wrapper: BaseDatabaseWrapper) -> None:
        """Take a database back for the next run."""
        self._free.append(wrapper)

    def migrate(self) -> None:
        """Make the template."""
        raise NotImplementedError

    def _fresh(self) -> BaseDatabaseWrapper:
        raise NotImplementedError

    def take(self, wrapper: BaseDatabaseWrapper) -> Image:
        """Return what the database holds."""
        raise NotImplementedError

    def put(self, wrapper: BaseDatabaseWrapper, image: Image) -> None:
        """Let the database hold ``image`` and nothing else."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing behind."""
        raise NotImplementedError


class SqliteStores(Stores):
    """Databases in memory; an image is their bytes."""

    vendor = "sqlite"

    def migrate(self) -> None:
        """Make the template. A second or so."""
        wrapper = self._fresh()
        migrated(wrapper)
        self.template = self.take(wrapper)
        self._free.append(wrapper)

    def _fresh(self) -> BaseDatabaseWrapper:
        options: dict[str, Any] = copy.deepcopy(connections.settings["default"])
        options.update(ENGINE="sync.db.sqlite3", NAME=":memory:", OPTIONS={"transaction_mode": "IMMEDIATE"})
        wrapper: BaseDatabaseWrapper = load_backend(options["ENGINE"]).DatabaseWrapper(options, "default")
        wrapper.ensure_connection()
        return wrapper

    def take(self, wrapper: BaseDatabaseWrapper) -> Image:
        """Return the bytes of the database."""
        return wrapper.connection.serialize()

    def put(self, wrapper: BaseDatabaseWrapper, image: Image) -> None:
        """Let the database hold ``image`` and nothing else."""
        wrapper.connection.deserialize(image)

    def close(self) -> None:
        """Forget all databases."""
        for wrapper in self._free:
            wrapper.connection.close()
        self._free.clear()

"""The app, which sets each connection up."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


def _durable(connection, **_):
    connection.cursor().execute("PRAGMA journal_mode=WAL")
    connection.cursor().execute("PRAGMA synchronous=FULL")


class MorangoSiteConfig(AppConfig):
    """``bench.morango_site``."""

    name = "bench.morango_site"

    def ready(self):
        """Let every connection write ahead, and sync at every commit."""
        connection_created.connect(_durable)

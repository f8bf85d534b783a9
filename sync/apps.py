"""The Django app of replication."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """Replication between trusted replicas."""

    name = "sync"

"""The Django app of replication."""

from typing import Any

from django.apps import AppConfig
from django.db import transaction
from django.db.models.signals import post_migrate


class SyncConfig(AppConfig):
    """Replication between trusted replicas."""

    name = "sync"

    def ready(self) -> None:
        from sync import checks, incoming, jobs  # noqa: F401

        post_migrate.connect(after_migrate, sender=self)


def after_migrate(**_: Any) -> None:
    """Make what a replica needs once: its key pair and its incarnation; and show what an upgrade has made showable."""
    from sync import incarnation, keys, local, rebuild, replay, upgrades
    from sync.models import Claim

    keys.ensure()
    with transaction.atomic():
        local.take_turn()
        incarnation.ensure()
        if Claim.objects.filter(name="").exists():  # noted by a release that did not give out names
            rebuild.claim_all()
        upgrades.adopt()
        replay.after_upgrade()

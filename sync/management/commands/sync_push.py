"""Push to peers."""

from __future__ import annotations

from sync.core.policy import Verb
from sync.management.exchanging import ExchangeCommand


class Command(ExchangeCommand):
    """``sync_push``."""

    help = "Push what is new to the peers that this replica may push to. An edge pushes to edges of its own farm only."
    verb = Verb.PUSH

"""The state of replication in figures: peers, lag, what exists only here, what waits where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sync import conf, conflicts, keys, local, log, missing, orphans, registers, replay, trusting
from sync.core.policy import Verb, may
from sync.lag import Lags, Seen
from sync.models import Entry, MissingBlob, Register


def status() -> dict[str, Any]:
    """Return what ``sync_status --json`` prints."""
    lags = Lags()
    return {
        "replica": {
            "name": conf.name(),
            "role": conf.role(),
            "farm": conf.farm(),
            "url": conf.url(),
            "key": keys.public_text(),
            "origin": f"{conf.name()}.{local.state().incarnation}",
        },
        "digest": registers.digest(),
        "peers": list(_peers(lags)),
        "only_here": lags.only_here(),
        "conflicts": conflicts.count(),
        "deferred": Register.objects.filter(projected=False).count(),
        "held": log.waiting().filter(state=Entry.State.HELD).count(),
        "quarantined": log.waiting().filter(state=Entry.State.QUARANTINED).count(),
        "orphans": orphans.count(),
        "blobs_missing": MissingBlob.objects.count(),
        "values_missing": missing.count(),
        "waiting": replay.waiting(),
    }


def _peers(lags: Lags) -> Iterator[dict[str, Any]]:
    me = trusting.me()
    for item in trusting.listing():
        if item["name"] != conf.name():
            peer, seen = trusting.party(item), lags.seen.get(item["name"], Seen())
            # Of a replica that never exchanges with this one there is no lag to speak of.
            is_mine = any(may(me, verb, peer) or may(peer, verb, me) for verb in Verb)
            behind, ahead = lags.between(me, peer, seen) if is_mine else (0, 0)
            yield {
                **{key: item[key] for key in ("name", "role", "farm", "url")},
                "last_contact": seen.last_contact.isoformat() if seen.last_contact else None,
                "behind": behind,
                "ahead": ahead,
                "error": seen.error,
            }

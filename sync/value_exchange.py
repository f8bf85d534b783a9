"""Detached values that are wanted here or at a peer, over a connection to it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from sync import missing, refill
from sync.client import Peer
from sync.core import wire
from sync.core.errors import PeerRefusedError
from sync.core.policy import Party

OLDER = ("not_found", "http_404")  # what a peer of an older release answers at an address that it has not


def fetch(client: Peer, pairs: Sequence[missing.Pair]) -> None:
    """Ask for values that are wanted here; what the peer has not is asked of the next one."""
    for start in range(0, len(pairs), missing.MAX_PAIRS):
        part = list(pairs[start : start + missing.MAX_PAIRS])
        while part and _fetch_part(client, part):  # an answer is bounded, and may bring not all at once
            wanted = set(missing.all_pairs())
            part = [pair for pair in part if pair in wanted]


def _fetch_part(client: Peer, pairs: list[missing.Pair]) -> int:
    body = orjson.dumps({"wanted": [[dot.hex(), digest] for dot, digest in pairs]})
    try:
        with client.send("POST", "values", body) as response:
            return sum(refill.take(texts) for texts in wire.texts(client.chunks(response)))
    except PeerRefusedError as error:
        if error.code not in OLDER:
            raise
        return 0


def send(client: Peer, wanted: list[missing.Pair], me: Party, peer: Party) -> list[missing.Pair]:
    """Hand over what the peer wants and is here; return what it wants then."""
    for body in missing.bodies(missing.texts(wanted, me, peer), wire.REQUEST_BYTES):
        wanted = missing.pairs_from_json(client.json("PUT", "values", body, wire.MEDIA_TYPE).get("values_missing"))
    return wanted

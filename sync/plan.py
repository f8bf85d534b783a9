"""Looking at what a pull would bring, without taking it."""

from __future__ import annotations

import time
from typing import Any

import orjson

from sync import exchange, log, missing, trusting
from sync.conversation import line_to
from sync.core import wire
from sync.core.errors import SyncError
from sync.peers import Listed
from sync.result import Result


def plan(peer: Listed) -> dict[str, Any]:
    """Return what ``sync_pull`` reports of ``peer``, and ``rows``: label of model -> how many rows would change."""
    result, start = Result(peer.name), time.monotonic()
    rows: dict[str, set[str]] = {}
    try:
        mine = exchange.tips_between(trusting.me(), peer.party)
        wanted = missing.pairs_for(trusting.me(), peer.party)
        body = orjson.dumps({"have": exchange.tips_as_json(mine), "values_missing": wanted})
        client = line_to(peer)
        with client.send("POST", "pull", body) as response:
            for frame in wire.frames(client.chunks(response)):
                held = log.known(changeset.dot for changeset in frame.changesets)
                for changeset in frame.changesets:
                    if changeset.dot not in held:
                        result.received += 1
                        for op in changeset.head.ops:
                            rows.setdefault(op.model, set()).add(op.token)
    except SyncError as error:
        result.ok, result.error = False, {"code": error.code, "detail": str(error)}
    result.seconds = time.monotonic() - start
    return {**result.as_json(), "rows": {model: len(tokens) for model, tokens in sorted(rows.items())}}

"""Fetching what a peer holds and this replica lacks: asked for at once, or once a hello has said that there is something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from sync import blob_exchange, contacts, exchange, log, missing, trusting, value_exchange
from sync.client import HELLO, WORK, Peer
from sync.core import wire
from sync.core.changeset import ChainKey
from sync.core.errors import MalformedError, NeedsOperatorError
from sync.models import MissingBlob
from sync.peers import Listed
from sync.receive import Receipt, receive
from sync.result import Result
from sync.stream import Stream

PATIENCE = 30.0  # seconds that a pull waits for another one
FEW = 16  # ends of chains that are said unasked; of more, their summary is said first, which is short whatever is here
_pulling = threading.Lock()


@contextmanager
def turn_to_pull() -> Iterator[bool]:
    """One pull after the other, or several peers would bring the same; but a slow one holds up no other for long.

    Yields whether there was a pull to wait for.
    """
    is_first = _pulling.acquire(blocking=False)
    has_turn = is_first or _pulling.acquire(timeout=PATIENCE)
    try:
        yield not is_first
    finally:
        if has_turn:
            _pulling.release()


@contextmanager
def turn_if_free() -> Iterator[bool]:
    """Take the turn to pull without waiting for it; yield whether it is had."""
    has_turn = _pulling.acquire(blocking=False)
    try:
        yield has_turn
    finally:
        if has_turn:
            _pulling.release()


class Pulling:
    """The part of a conversation that brings something here."""

    def __init__(self, peer: Listed, client: Peer, result: Result, progress: Any) -> None:
        self.peer, self.client, self.result, self.progress = peer, client, result, progress
        self.me = trusting.me()

    def _check_identity(self, hello: dict[str, Any]) -> None:
        if hello.get("name") != self.peer.name:
            raise NeedsOperatorError(f"{self.peer.url} is {hello.get('name')}, not {self.peer.name}; correct the address")
        if hello.get("key", self.peer.key) != self.peer.key:
            raise NeedsOperatorError(
                f"{self.peer.name} has another key than it has here; compare sync_identity there with what was given to sync_trust"
            )

    def pull_at_once(self, mine: list[exchange.TipAt], before_waiting: Callable[[], None] | None) -> None:
        """Ask for what is missing here and not first whether anything is: one request, where a hello would be one more.

        What the peer says of itself comes first in its answer. Nobody has the turn to pull while he waits for that; who cannot
        have it then lets the answer go and asks again when he has it, since another peer may have brought all of it.
        """
        self.client.patience = HELLO
        with self._asked(self._question(mine), before_waiting) as reader:
            if not self._check_beginning(reader):
                self._check_identity(self.client.json("GET", "hello"))
            with turn_if_free() as has_turn:
                is_taken = set(reader.tips) <= set(mine) or (
                    has_turn and mine == exchange.tips_between(self.me, self.peer.party)
                )
                if is_taken:
                    self._take_all(reader)
        if is_taken:
            reader.check()
        self.client.patience = WORK
        forked = self._forked(mine, reader.tips) if is_taken else set()
        if not is_taken or forked or MissingBlob.objects.exists() or missing.count():
            with turn_to_pull():
                if not is_taken:
                    self._pull_unless_brought(reader)
                self._pull_forked(forked)
                self.fetch_absent()

    def _pull_unless_brought(self, reader: Stream) -> None:
        mine = exchange.tips_between(self.me, self.peer.party)
        if set(reader.tips) <= set(mine):
            contacts.saw(self.peer.name, reader.tips, reader.lacking())
        else:
            self.pull(mine)

    def _check_beginning(self, reader: Stream) -> bool:
        """Look who answers before anything that it sends is taken; return whether it says its key: older releases do so in a hello."""
        try:
            said = reader.begin()
        except MalformedError:
            raise self._stranger() from None
        if said is not None:
            self._check_identity(said)
        return said is None or "key" in said

    def fetch_absent(self) -> None:
        """Fetch what changesets name and is not here: files and values."""
        blob_exchange.fetch(self.client, self.peer.name)
        value_exchange.fetch(self.client, missing.some_pairs())

    def _stranger(self) -> MalformedError:
        return MalformedError(f"what answers at {self.peer.url} does not speak this protocol; correct the address")

    def pull(self, mine: list[exchange.TipAt]) -> None:
        """Pull; and once more where the peer could not tell where a chain was forked, with what is here of that chain."""
        self._pull_forked(self._forked(mine, self._pull_once(self._question(mine))))

    @staticmethod
    def _question(mine: list[exchange.TipAt]) -> dict[str, Any]:
        return {"have": exchange.tips_as_json(mine), "asks_again": True}

    @staticmethod
    def _forked(mine: list[exchange.TipAt], theirs: list[exchange.TipAt]) -> set[ChainKey]:
        """Return the chains that were begun here before a pull, and of which the peer has an end that is not here after it."""
        begun, others = {tip.chain for tip in mine}, set(theirs).difference(mine)
        known = log.known(tip.dot for tip in others)
        return {tip.chain for tip in others if tip.chain in begun and tip.dot not in known}

    def _pull_forked(self, forked: Collection[ChainKey]) -> None:
        if forked:
            mine = exchange.tips_between(self.me, self.peer.party)
            markers = exchange.markers(tip for tip in mine if tip.chain in forked)
            self._pull_once({"have": exchange.tips_as_json([*mine, *markers])})

    def _pull_once(self, question: dict[str, Any]) -> list[exchange.TipAt]:
        """Pull and return the tips that the peer has."""
        with self._asked(question) as reader:
            self._check_beginning(reader)
            self._take_all(reader)
        reader.check()
        return reader.tips

    @contextmanager
    def _asked(self, question: dict[str, Any], before_waiting: Callable[[], None] | None = None) -> Iterator[Stream]:
        wanted = missing.pairs_for(self.me, self.peer.party)
        body = orjson.dumps({**question, "values_missing": wanted})
        if before_waiting is not None:
            before_waiting()
        with self.client.send("POST", "pull", body) as response:
            yield Stream(wire.frames(self.client.chunks(response)))

    def _take_all(self, reader: Stream) -> None:
        receipt = Receipt()
        try:
            receive(self._watched(reader), receipt)
        finally:
            self.result.received += reader.count
            self._take(receipt)
            if reader.first is not None:
                contacts.saw(self.peer.name, reader.tips, reader.lacking())

    def _take(self, receipt: Receipt) -> None:
        self.result.applied += receipt.applied
        if receipt.refused:
            what = ", ".join(f"{count} {code}" for code, count in sorted(receipt.refused.items()))
            detail = f"{self.peer.name} sent changesets that were refused: {what}; the rest was taken"
            self.result.ok, self.result.error = False, {"code": min(receipt.refused), "detail": detail}

    def _watched(self, frames: Iterable[wire.Frame]) -> Iterator[wire.Frame]:
        """Yield those of ``frames`` that bring something: nothing new is no reason for a transaction."""
        for frame in frames:
            if self.progress is not None:
                self.progress(len(frame.changesets))
            if frame.changesets:
                yield frame

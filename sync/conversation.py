"""One conversation with one peer: what each lacks is pulled and pushed, as far as it is asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import orjson

from sync import blob_exchange, clocks, contacts, exchange, log, missing, signals, storage, trusting, value_exchange
from sync.client import HELLO, WORK, Peer
from sync.core import wire
from sync.core.errors import IncompleteStreamError, MalformedError, NeedsOperatorError, SyncError
from sync.core.policy import Verb
from sync.ends import chains_here
from sync.models import MissingBlob
from sync.peers import Listed
from sync.receive import Receipt, receive

logger = logging.getLogger(__name__)

tally: Counter[str] = Counter()  # what this process has exchanged so far
PATIENCE = 30.0  # seconds that a pull waits for another one
_pulling = threading.Lock()


@dataclass(slots=True)
class Result:
    """What an exchange with one peer came to. ``sent`` and ``received`` count changesets, ``seconds`` is wall time."""

    name: str
    ok: bool = True
    sent: int = 0
    received: int = 0
    applied: int = 0
    seconds: float = 0.0
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return this for ``--json``: ``error`` only where there is one."""
        found = asdict(self)
        found["seconds"] = round(self.seconds, 3)
        if self.error is None:
            del found["error"]
        return found


def refused(name: str, error: SyncError) -> Result:
    """Return the result of an exchange that did not even begin."""
    return Result(name, ok=False, error={"code": error.code, "detail": str(error)})


def line_to(peer: Listed) -> Peer:
    """Return a client of ``peer``. Nothing is sent yet; connections are kept for the next one."""
    return Peer(peer.name, peer.url)


def exchange_with(
    peer: Listed,
    verbs: Iterable[Verb],
    progress: Any = None,
    before_waiting: Callable[[], None] | None = None,
    kind: type[Conversation] | None = None,
) -> Result:
    """Pull from and push to ``peer``, as ``verbs`` say. The result tells of any trouble: one peer keeps no other waiting.

    ``before_waiting`` is called once the peer is about to be asked whether it is there.
    """
    result, start = Result(peer.name), time.monotonic()
    try:
        with signals.brought_by(peer.name):
            (kind or Conversation)(peer, line_to(peer), result, progress).run(set(verbs), before_waiting)
    except Exception as error:
        known = storage.as_sync_error(error)
        if known is None:
            logger.exception("the exchange with %s failed in a way that nobody foresaw", peer.name)
        code = known.code if known else "unforeseen"
        result.ok, result.error = False, {"code": code, "detail": str(known or error) or type(error).__name__}
    finally:
        result.seconds = time.monotonic() - start
    if result.error is not None:
        contacts.failed(peer.name, result.error)
    tally.update(exchanges=1, failed=int(not result.ok), sent=result.sent, received=result.received, applied=result.applied)
    return result


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


class Conversation:
    """What is said and done once a peer is connected."""

    def __init__(self, peer: Listed, client: Peer, result: Result, progress: Any) -> None:
        self.peer, self.client, self.result, self.progress = peer, client, result, progress
        self.me = trusting.me()

    def run(self, verbs: set[Verb], before_waiting: Callable[[], None] | None = None) -> None:
        """Ask whether there is anything to exchange; then pull and push."""
        summary = exchange.summary_between(self.me, self.peer.party)
        self.client.patience = HELLO
        if before_waiting is not None:
            before_waiting()
        question = clocks.challenge()
        hello = self.client.json("GET", f"hello?summary={summary}&values_missing={missing.count()}&challenge={question}")
        self._check(hello)
        self.client.patience = WORK
        if self._hear(hello, question):
            summary = exchange.summary_between(self.me, self.peer.party)
        differs = hello["summary"] != summary
        if Verb.PULL in verbs and (differs or MissingBlob.objects.exists() or missing.count()):
            with turn_to_pull() as waited:
                if waited:  # another peer may have brought all of it
                    differs = hello["summary"] != exchange.summary_between(self.me, self.peer.party)
                if differs:
                    self.pull(exchange.tips_between(self.me, self.peer.party))
                blob_exchange.fetch(self.client, self.peer.name)
                value_exchange.fetch(self.client, missing.some_pairs())
        if Verb.PUSH in verbs and (differs or hello.get("blobs_missing") or hello.get("values_missing")):
            self._push()
        elif not differs:
            mine = chains_here().between(self.me, self.peer.party)
            contacts.saw_all_of(self.peer.name, mine, self._lacking() if hello.get("values_missing") else [])

    def _lacking(self) -> list[bytes] | None:
        return missing.lacking(missing.pairs_from_json(self.client.json("GET", "tips").get("values_missing")))

    def _hear(self, hello: dict[str, Any], question: str) -> bool:
        """Listen to what time it is there; return whether that had consequences here."""
        now, signature = hello.get("time"), hello.get("time_signature")
        if not clocks.is_signed(self.peer.name, self.peer.key, question, now, signature):
            return False
        return clocks.heard(self.peer.party, self.me, int(now))  # type: ignore[arg-type]

    def _check(self, hello: dict[str, Any]) -> None:
        if not isinstance(hello.get("summary"), str):
            raise MalformedError(f"what answers at {self.peer.url} does not speak this protocol; correct the address")
        if hello.get("name") != self.peer.name:
            raise NeedsOperatorError(f"{self.peer.url} is {hello.get('name')}, not {self.peer.name}; correct the address")
        if hello.get("key", self.peer.key) != self.peer.key:
            raise NeedsOperatorError(
                f"{self.peer.name} has another key than it has here; compare sync_identity there with what was given to sync_trust"
            )

    def pull(self, mine: list[exchange.TipAt]) -> None:
        """Pull; and once more where the peer could not tell where a chain was forked, with what is here of that chain."""
        theirs = self._pull_once({"have": exchange.tips_as_json(mine), "asks_again": True})
        begun, others = {tip.chain for tip in mine}, set(theirs).difference(mine)
        known = log.known(tip.dot for tip in others)
        forked = {tip.chain for tip in others if tip.chain in begun and tip.dot not in known}
        if forked:
            mine = exchange.tips_between(self.me, self.peer.party)
            markers = exchange.markers(tip for tip in mine if tip.chain in forked)
            self._pull_once({"have": exchange.tips_as_json([*mine, *markers])})

    def _pull_once(self, question: dict[str, Any]) -> list[exchange.TipAt]:
        """Pull and return the tips that the peer has."""
        wanted = missing.pairs_for(self.me, self.peer.party)
        body = orjson.dumps({**question, "values_missing": wanted})
        with self.client.send("POST", "pull", body) as response:
            reader, receipt = Stream(wire.frames(self.client.chunks(response))), Receipt()
            try:
                receive(self._watched(reader), receipt)
            finally:
                self.result.received += reader.count
                self._take(receipt)
                if reader.first is not None:
                    contacts.saw(self.peer.name, reader.tips, reader.lacking())
        reader.check()
        return reader.tips

    def _take(self, receipt: Receipt) -> None:
        self.result.applied += receipt.applied
        if receipt.refused:
            what = ", ".join(f"{count} {code}" for code, count in sorted(receipt.refused.items()))
            detail = f"{self.peer.name} sent changesets that were refused: {what}; the rest was taken"
            self.result.ok, self.result.error = False, {"code": min(receipt.refused), "detail": detail}

    def _watched(self, frames: Iterable[wire.Frame]) -> Iterator[wire.Frame]:
        for frame in frames:
            if self.progress is not None:
                self.progress(len(frame.changesets))
            yield frame

    def _push(self) -> None:
        answer = self.client.json("GET", "tips")
        have, wanted = exchange.tips_from_json(answer["tips"]), answer["blobs_missing"]
        values = missing.pairs_from_json(answer.get("values_missing"))
        contacts.saw(self.peer.name, have, missing.lacking(values))
        for body, count in self._bodies(have):
            answer = self.client.json("POST", "push", body, wire.MEDIA_TYPE)
            self.result.sent += count
            wanted, values = answer["blobs_missing"], missing.pairs_from_json(answer.get("values_missing"))
            for code, number in answer.get("refused", {}).items():
                raise NeedsOperatorError(f"{self.peer.name} refused {number} changesets: {code}")
            if self.progress is not None:
                self.progress(count)
        blob_exchange.send(self.client, wanted)
        lacking = missing.lacking(value_exchange.send(self.client, values, self.me, self.peer.party))
        contacts.saw(self.peer.name, exchange.together(have, exchange.tips_between(self.me, self.peer.party)), lacking)

    def _bodies(self, have: list[exchange.TipAt]) -> Iterator[tuple[bytes, int]]:
        frames: list[bytes] = []
        count = 0
        for frame, number in exchange.frames(exchange.missing(have, self.me, self.peer.party)):
            frames.append(frame)
            count += number
            if sum(map(len, frames)) >= wire.REQUEST_BYTES:
                yield b"".join(frames), count
                frames, count = [], 0
        if frames:
            yield b"".join(frames), count


class Stream:
    """The frames of a pull, counted; ``check`` says whether the last line came."""

    def __init__(self, frames: Iterator[wire.Frame]) -> None:
        self.frames, self.count = frames, 0
        self.first: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[wire.Frame]:
        for frame in self.frames:
            self.count += len(frame.changesets)
            self.first, self.last = frame.first or self.first, frame.last or self.last
            yield frame

    @cached_property
    def tips(self) -> list[exchange.TipAt]:
        """What the peer said that it holds, known once the first frame has come."""
        return exchange.tips_from_json((self.first or {}).get("tips", []))

    def lacking(self) -> list[bytes] | None:
        """Return of which changesets the peer lacked a value."""
        return missing.lacking(missing.pairs_from_json((self.first or {}).get("values_missing")))

    def check(self) -> None:
        """Raise IncompleteStreamError where the stream was cut between frames."""
        if self.last is None or self.last.get("count") != self.count:
            raise IncompleteStreamError("the stream was cut; what came is kept, the next pull goes on from there")

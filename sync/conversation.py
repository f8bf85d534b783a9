"""One conversation with one peer: what each lacks is pulled and pushed, as far as it is asked for."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sync import blob_exchange, clocks, contacts, exchange, missing, signals, storage, value_exchange
from sync.client import HELLO, WORK, Peer
from sync.core import wire
from sync.core.errors import NeedsOperatorError
from sync.core.policy import Verb
from sync.ends import chains_here
from sync.models import MissingBlob
from sync.peers import Listed
from sync.pulling import FEW, Pulling, turn_to_pull
from sync.result import Result

logger = logging.getLogger(__name__)

tally: Counter[str] = Counter()  # what this process has exchanged so far


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


class Conversation(Pulling):
    """What is said and done once a peer is connected."""

    def run(self, verbs: set[Verb], before_waiting: Callable[[], None] | None = None) -> None:
        """Ask whether there is anything to exchange; then pull and push. Whoever only pulls may ask for it at once."""
        if verbs == {Verb.PULL} and not clocks.is_doubtful():
            ends = exchange.tips_between(self.me, self.peer.party)
            if len(ends) <= FEW:
                self.pull_at_once(ends, before_waiting)
                return
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
                self.fetch_absent()
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
            raise self._stranger()
        self._check_identity(hello)

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

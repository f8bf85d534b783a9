"""Exchanging with peers: one pull, one push, or a sweep over all that the rule allows."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from django.db import connection, transaction

from sync import (
    admission,
    blobs,
    clocks,
    conf,
    contacts,
    exchange,
    incarnation,
    incoming,
    local,
    log,
    missing,
    refill,
    replay,
    storage,
    trusting,
)
from sync.client import HELLO, WORK, Peer
from sync.core import wire
from sync.core.errors import (
    IncompleteStreamError,
    MalformedError,
    NeedsOperatorError,
    NotAllowedError,
    PeerRefusedError,
    SyncError,
    UnknownPeerError,
    WrongBlobError,
)
from sync.core.policy import Party, Role, Verb, may
from sync.models import MissingBlob
from sync.receive import Receipt, receive
from sync.visiting import Visits

logger = logging.getLogger(__name__)

STREAM = "application/vnd.edgecms.changesets+zstd"
tally: Counter[str] = Counter()  # what this process has exchanged so far
OLDER = ("not_found", "http_404")  # what a peer of an older release answers at an address that it has not
PUSH_BYTES = 4 << 20  # of one request
LONG = 60.0  # seconds that a sweep waits for its peers; who takes longer goes on beside the next one
PATIENCE = 30.0  # seconds that a pull waits for another one
_visits, _messages = Visits(), Visits()
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


@dataclass(frozen=True, slots=True)
class Listed:
    """A peer as the trusted list has it."""

    name: str
    url: str
    key: str
    party: Party


def peers(verb: Verb) -> list[Listed]:
    """Return the peers that this replica may ``verb``, and that have an address."""
    return [peer for peer in _listed().values() if peer.url and may(trusting.me(), verb, peer.party)]


def peer_named(name: str, verb: Verb) -> Listed:
    """Return the peer ``name``. Raises UnknownPeerError or NotAllowedError, before anything is sent."""
    found, me = _listed().get(name), trusting.me()
    if name == conf.name():
        raise NotAllowedError(f"{name} is this replica itself")
    if found is None:
        raise UnknownPeerError(f"{name} is not on the trusted list of {conf.name()}; a master enters it with sync_trust")
    if not may(me, verb, found.party):
        preposition = "from" if verb is Verb.PULL else "to"
        raise NotAllowedError(f"{conf.name()} ({me.role}) may not {verb} {preposition} {name} ({found.party.role})")
    return found


def refused(name: str, error: SyncError) -> Result:
    """Return the result of an exchange that did not even begin."""
    return Result(name, ok=False, error={"code": error.code, "detail": str(error)})


def _listed() -> dict[str, Listed]:
    others = [item for item in trusting.listing() if item["name"] != conf.name()]
    return {item["name"]: Listed(item["name"], item["url"], item["key"], trusting.party(item)) for item in others}


def exchange_with(
    peer: Listed, verbs: Iterable[Verb], progress: Any = None, before_waiting: Callable[[], None] | None = None
) -> Result:
    """Pull from and push to ``peer``, as ``verbs`` say. The result tells of any trouble: one peer keeps no other waiting.

    ``before_waiting`` is called once the peer is about to be asked whether it is there.
    """
    result, start = Result(peer.name), time.monotonic()
    client = Peer(peer.name, peer.url)
    try:
        _Exchange(peer, client, result, progress).run(set(verbs), before_waiting)
    except Exception as error:
        known = storage.as_sync_error(error)
        if known is None:
            logger.exception("the exchange with %s failed in a way that nobody foresaw", peer.name)
        code = known.code if known else "unforeseen"
        result.ok, result.error = False, {"code": code, "detail": str(known or error) or type(error).__name__}
    finally:
        client.close()
        result.seconds = time.monotonic() - start
    if result.error is not None:
        contacts.failed(peer.name, result.error)
    tally.update(exchanges=1, failed=int(not result.ok), sent=result.sent, received=result.received, applied=result.applied)
    return result


def sweep(at_once: bool = False) -> list[Result]:
    """Exchange with every peer that the rule allows; those that do not answer are reported, and tried again next time.

    ``at_once``: several at the same time, each in a thread of its own; who takes very long goes on beside the next sweep.
    """
    prepare()
    allowed: dict[str, tuple[Listed, set[Verb]]] = {}
    for verb in Verb:
        for peer in peers(verb):
            allowed.setdefault(peer.name, (peer, set()))[1].add(verb)
    if not at_once:
        return [exchange_with(peer, verbs) for peer, verbs in allowed.values()]
    failing = contacts.failing()
    due = sorted(allowed.values(), key=lambda item: item[0].name in failing)  # who answered last time keeps nobody waiting
    return _visits.each(due, lambda item: item[0].name, lambda item: _exchange_in_thread(*item), max(LONG, conf.interval()))


def _exchange_in_thread(peer: Listed, verbs: set[Verb]) -> Result:
    return exchange_with(peer, verbs, before_waiting=connection.close)


def stop() -> None:
    """Let nobody wait any longer for peers that are being visited."""
    _visits.stopped.set()
    _messages.stopped.set()


def prepare() -> None:
    """See to what time and the operator may have done to this replica: before a peer is asked anything."""
    with transaction.atomic():
        local.take_turn()
        incarnation.ensure()
        admission.release()
        replay.retry_crashed()


def fetch(pairs: Sequence[missing.Pair]) -> None:
    """Ask the peers that this replica may pull from for values, until one has had each; what nobody has stays away."""
    with transaction.atomic():
        missing.note(pairs)
    try:
        for peer in peers(Verb.PULL):
            left = sorted(set(pairs) & set(missing.all_pairs()))
            client = Peer(peer.name, peer.url)
            try:
                _Exchange(peer, client, Result(peer.name), None).fetch_values(left)
            except SyncError as error:
                logger.info("%s does not hand out values: %s", peer.name, error)
            finally:
                client.close()
    finally:
        with transaction.atomic():
            local.take_turn()
            missing.prune()


def ask_masters() -> list[str]:
    """Ask the masters that this replica may pull from what they hold; return the names of those that answered."""
    answered = []
    for peer in peers(Verb.PULL):
        if peer.party.role is Role.MASTER:
            client = Peer(peer.name, peer.url)
            try:
                answer = client.json("GET", "tips")
                lacking = missing.lacking(missing.pairs_from_json(answer.get("values_missing")))
                contacts.saw(peer.name, exchange.tips_from_json(answer.get("tips")), lacking)
                answered.append(peer.name)
            except SyncError as error:
                logger.info("%s does not say what it holds: %s", peer.name, error)
            finally:
                client.close()
    return answered


def react(name: str = "") -> list[Result]:
    """Answer a wake-up: pull from ``name``; or, after a change here, push where allowed and wake those who may pull from here."""
    if name:
        return [exchange_with(peer, {Verb.PULL}) for peer in peers(Verb.PULL) if peer.name == name]
    for peer in _to_wake():
        _wake(peer)
    return [exchange_with(peer, {Verb.PUSH}) for peer in peers(Verb.PUSH)]


def react_at_once(name: str = "") -> None:
    """The same in threads, without waiting for them: the next message may concern somebody who answers."""
    if name:
        due = [("pull", peer) for peer in peers(Verb.PULL) if peer.name == name]
    else:
        due = [*(("wake", peer) for peer in _to_wake()), *(("push", peer) for peer in peers(Verb.PUSH))]
    failing = contacts.failing()
    due.sort(key=lambda item: item[1].name in failing)
    _messages.each(due, lambda item: f"{item[0]} {item[1].name}", lambda item: _answer_message(*item), 0)


def _answer_message(how: str, peer: Listed) -> None:
    if how == "wake":
        return _wake(peer)
    result = _exchange_in_thread(peer, {Verb(how)})
    if result.error:
        logger.info("%s: %s: %s", result.name, result.error["code"], result.error["detail"])
    return None


def _to_wake() -> list[Listed]:
    """Return who may pull from here, and is not pushed to."""
    me, pushed_to = trusting.me(), {peer.name for peer in peers(Verb.PUSH)}
    return [peer for peer in _listed().values() if peer.name not in pushed_to and may(peer.party, Verb.PULL, me)]


def _wake(peer: Listed) -> None:
    client = Peer(peer.name, peer.url)
    client.patience = HELLO
    try:
        client.json("POST", "wake")
    except SyncError as error:
        logger.info("%s was not woken: %s", peer.name, error)
        contacts.failed(peer.name, {"code": error.code, "detail": str(error)})
    finally:
        client.close()


@contextmanager
def _turn_to_pull() -> Iterator[bool]:
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


class _Exchange:
    """One conversation with one peer."""

    def __init__(self, peer: Listed, client: Peer, result: Result, progress: Any) -> None:
        self.peer, self.client, self.result, self.progress = peer, client, result, progress
        self.me = trusting.me()

    def run(self, verbs: set[Verb], before_waiting: Callable[[], None] | None = None) -> None:
        mine = exchange.tips_between(self.me, self.peer.party)
        summary = exchange.summary(mine)
        self.client.patience = HELLO
        if before_waiting is not None:
            before_waiting()
        question = clocks.challenge()
        hello = self.client.json("GET", f"hello?summary={summary}&values_missing={missing.count()}&challenge={question}")
        self._check(hello)
        self.client.patience = WORK
        if self._hear(hello, question):
            mine = exchange.tips_between(self.me, self.peer.party)
            summary = exchange.summary(mine)
        differs = hello["summary"] != summary
        if Verb.PULL in verbs and (differs or MissingBlob.objects.exists() or missing.count()):
            with _turn_to_pull() as waited:
                if waited:  # another peer may have brought all of it
                    mine = exchange.tips_between(self.me, self.peer.party)
                    differs = hello["summary"] != exchange.summary(mine)
                if differs:
                    self._pull(mine)
                self._fetch_blobs()
                self.fetch_values(missing.some_pairs())
        if Verb.PUSH in verbs and (differs or hello.get("blobs_missing") or hello.get("values_missing")):
            self._push()
        elif not differs:
            contacts.saw(self.peer.name, mine, self._lacking() if hello.get("values_missing") else [])

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

    def _pull(self, mine: list[exchange.TipAt]) -> None:
        """Pull; and once more where the peer could not tell where a chain was forked, with what is here of that chain."""
        theirs = self._pull_once({"have": exchange.tips_as_json(mine), "asks_again": True})
        begun = {tip.chain for tip in mine}
        known = log.known(tip.dot for tip in theirs)
        forked = {tip.chain for tip in theirs if tip.chain in begun and tip.dot not in known}
        if forked:
            mine = exchange.tips_between(self.me, self.peer.party)
            markers = exchange.markers(tip for tip in mine if tip.chain in forked)
            self._pull_once({"have": exchange.tips_as_json([*mine, *markers])})

    def _pull_once(self, question: dict[str, Any]) -> list[exchange.TipAt]:
        """Pull and return the tips that the peer has."""
        wanted = missing.pairs_for(self.me, self.peer.party)
        body = orjson.dumps({**question, "values_missing": wanted})
        with self.client.send("POST", "pull", body) as response:
            reader, receipt = _Stream(wire.frames(self.client.chunks(response))), Receipt()
            try:
                receive(self._watched(reader), receipt)
            finally:
                self.result.received += reader.count
                self._take(receipt)
                if reader.first is not None:
                    contacts.saw(self.peer.name, reader.tips(), reader.lacking())
        reader.check()
        return reader.tips()

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
            answer = self.client.json("POST", "push", body, STREAM)
            self.result.sent += count
            wanted, values = answer["blobs_missing"], missing.pairs_from_json(answer.get("values_missing"))
            for code, number in answer.get("refused", {}).items():
                raise NeedsOperatorError(f"{self.peer.name} refused {number} changesets: {code}")
            if self.progress is not None:
                self.progress(count)
        self._send_blobs(wanted)
        lacking = missing.lacking(self._send_values(values))
        contacts.saw(self.peer.name, [*have, *exchange.tips_between(self.me, self.peer.party)], lacking)

    def _bodies(self, have: list[exchange.TipAt]) -> Iterator[tuple[bytes, int]]:
        frames: list[bytes] = []
        count = 0
        for frame, number in exchange.frames(exchange.missing(have, self.me, self.peer.party)):
            frames.append(frame)
            count += number
            if sum(map(len, frames)) >= PUSH_BYTES:
                yield b"".join(frames), count
                frames, count = [], 0
        if frames:
            yield b"".join(frames), count

    def fetch_values(self, pairs: Sequence[missing.Pair]) -> None:
        """Ask for values that are wanted here; what the peer has not is asked of the next one."""
        for start in range(0, len(pairs), missing.MAX_PAIRS):
            part = list(pairs[start : start + missing.MAX_PAIRS])
            while part and self._fetch_part(part):  # an answer is bounded, and may bring not all at once
                wanted = set(missing.all_pairs())
                part = [pair for pair in part if pair in wanted]

    def _fetch_part(self, pairs: list[missing.Pair]) -> int:
        body = orjson.dumps({"wanted": [[dot.hex(), digest] for dot, digest in pairs]})
        try:
            with self.client.send("POST", "values", body) as response:
                return sum(refill.take(texts) for texts in wire.texts(self.client.chunks(response)))
        except PeerRefusedError as error:
            if error.code not in OLDER:
                raise
            return 0

    def _send_values(self, wanted: list[missing.Pair]) -> list[missing.Pair]:
        """Hand over what the peer wants and is here; return what it wants then."""
        for body in missing.bodies(missing.texts(wanted, self.me, self.peer.party), PUSH_BYTES):
            wanted = missing.pairs_from_json(self.client.json("PUT", "values", body, STREAM).get("values_missing"))
        return wanted

    def _fetch_blobs(self) -> None:
        wrong: list[str] = []
        for digest in list(MissingBlob.objects.values_list("digest", flat=True)):
            try:
                self._fetch_blob(digest)
            except blobs.BlobError as error:  # one bad file keeps no other from coming
                wrong.append(str(error))
            except SyncError as error:
                if error.code != "blob_absent":
                    raise
        if wrong:
            raise WrongBlobError(f"the media of {self.peer.name} are damaged; mend them there: {'; '.join(wrong)}")

    def _fetch_blob(self, digest: str) -> None:
        if blobs.has(digest):
            MissingBlob.objects.filter(digest=digest).delete()
            return
        offset = incoming.held(digest)
        try:
            self._continue_blob(digest, offset)
        except PeerRefusedError as error:
            if not offset or error.code != MalformedError.code:
                raise
            incoming.drop(digest)  # somebody has handed over more than the whole has: begin again
            self._continue_blob(digest, 0)

    def _continue_blob(self, digest: str, offset: int) -> None:
        with self.client.send("GET", f"blobs/{digest}?offset={offset}") as response:
            total = int(response.headers.get("sync-blob-size", "0"))
            for chunk in _in_pieces(self.client.chunks(response)):
                incoming.add_piece(digest, offset, chunk, total)
                offset += len(chunk)  # of this stream; somebody else may be fetching the same blob

    def _send_blobs(self, wanted: Iterable[str]) -> None:
        for digest in wanted:
            if blobs.has(digest):
                self._send_blob(digest)

    def _send_blob(self, digest: str) -> None:
        path = blobs.path(digest)
        total = path.stat().st_size
        # Of one that takes several pieces some may be there from a push that was cut: an empty piece asks how much.
        offset = self._put(digest, 0, total, b"") if total > blobs.PIECE else 0
        with path.open("rb") as file:
            while offset < total:
                file.seek(offset)
                held = self._put(digest, offset, total, file.read(blobs.PIECE))
                if held == offset:
                    return  # somebody else is sending it
                offset = held

    def _put(self, digest: str, offset: int, total: int, piece: bytes) -> int:
        """Hand over a piece of a blob; return how many bytes the peer holds now."""
        place = f"blobs/{digest}?offset={offset}&total={total}"
        return int(self.client.json("PUT", place, piece, "application/octet-stream")["held"])


class _Stream:
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

    def tips(self) -> list[exchange.TipAt]:
        """Return what the peer said that it holds."""
        return exchange.tips_from_json((self.first or {}).get("tips", []))

    def lacking(self) -> list[bytes] | None:
        """Return of which changesets the peer lacked a value."""
        return missing.lacking(missing.pairs_from_json((self.first or {}).get("values_missing")))

    def check(self) -> None:
        """Raise IncompleteStreamError where the stream was cut between frames."""
        if self.last is None or self.last.get("count") != self.count:
            raise IncompleteStreamError("the stream was cut; what came is kept, the next pull goes on from there")


def _in_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ``chunks`` in larger pieces. Where they fail, what came is a piece first, so that it is not fetched again."""
    held = bytearray()
    failure: SyncError | None = None
    try:
        for chunk in chunks:
            held += chunk
            if len(held) >= blobs.PIECE:
                yield bytes(held)
                held.clear()
    except SyncError as error:
        failure = error
    if held or failure is None:
        yield bytes(held)
    if failure is not None:
        raise failure

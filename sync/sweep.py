"""Whom to speak with, and when: a sweep over all that the rule allows, and the answer to a wake-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django.db import connection, transaction

from sync import (
    admission,
    conf,
    contacts,
    exchange,
    incarnation,
    leftovers,
    local,
    missing,
    peers,
    replay,
    trusting,
    value_exchange,
)
from sync.at_once import AtOnce, equality, is_news
from sync.client import HELLO
from sync.conversation import exchange_with, line_to
from sync.core.errors import SyncError
from sync.core.policy import Role, Verb, may
from sync.peers import Listed
from sync.result import Result
from sync.visiting import Gathered, Visits

logger = logging.getLogger(__name__)

LONG = 60.0  # seconds that a sweep waits for its peers; who takes longer goes on beside the next one
RELAY = 1.0  # seconds after which others are told what somebody else was to tell them
_visits, _messages = Visits(), Visits()
Due = tuple[str, Listed]  # "push", "ask" whether to push, "pull" or "wake", and whom


def sweep(at_once: bool = False) -> list[Result]:
    """Exchange with every peer that the rule allows; those that do not answer are reported, and tried again next time.

    ``at_once``: several at the same time, each in a thread of its own; who takes very long goes on beside the next sweep.
    """
    prepare()
    allowed: dict[str, tuple[Listed, set[Verb]]] = {}
    for verb in Verb:
        for peer in peers.allowed(verb):
            allowed.setdefault(peer.name, (peer, set()))[1].add(verb)
    if not at_once:
        return [exchange_with(peer, verbs) for peer, verbs in allowed.values()]
    failing = contacts.failing()
    due = sorted(allowed.values(), key=lambda item: item[0].name in failing)  # who answered last time keeps nobody waiting
    return _visits.each(due, lambda item: item[0].name, lambda item: _exchange_in_thread(*item), max(LONG, conf.interval()))


def _exchange_in_thread(peer: Listed, verbs: set[Verb]) -> Result:
    return exchange_with(peer, verbs, before_waiting=_let_go)


def _let_go() -> None:
    """Give a connection of a pool back while somebody else is waited for. SQLite has no pool; opening it takes a millisecond."""
    if connection.vendor != "sqlite":
        connection.close()


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
    leftovers.clear()


def fetch(pairs: Sequence[missing.Pair]) -> None:
    """Ask the peers that this replica may pull from for values, until one has had each; what nobody has stays away."""
    with transaction.atomic():
        missing.note(pairs)
    try:
        for peer in peers.allowed(Verb.PULL):
            left = sorted(set(pairs) & set(missing.all_pairs()))
            try:
                value_exchange.fetch(line_to(peer), left)
            except SyncError as error:
                logger.info("%s does not hand out values: %s", peer.name, error)
    finally:
        with transaction.atomic():
            local.take_turn()
            missing.prune()


def ask_masters() -> list[str]:
    """Ask the masters that this replica may pull from what they hold; return the names of those that answered."""
    answered = []
    for peer in peers.allowed(Verb.PULL):
        if peer.party.role is Role.MASTER:
            try:
                answer = line_to(peer).json("GET", "tips")
                lacking = missing.lacking(missing.pairs_from_json(answer.get("values_missing")))
                contacts.saw(peer.name, exchange.tips_from_json(answer.get("tips")), lacking)
                answered.append(peer.name)
            except SyncError as error:
                logger.info("%s does not say what it holds: %s", peer.name, error)
    return answered


def react(name: str = "", source: str = "") -> list[Result]:
    """Answer a wake-up: pull from ``name``; or, after a change, push where allowed and wake those who may pull from here.

    ``source`` is who brought the change, if it was not made here.
    """
    done = [_answer(*item) for item in [*_due(name, source), *_due_later(name, source)]]
    return [result for result in done if result is not None]


def react_at_once(name: str = "", source: str = "") -> None:
    """The same in threads, without waiting for them: the next message may concern somebody who answers."""
    _answer_all(_due(name, source))
    _relays.add(_due_later(name, source))


def _answer_all(due: list[Due]) -> None:
    failing = contacts.failing()
    due.sort(key=lambda item: item[1].name in failing)
    _messages.each(due, lambda item: f"{item[0]} {item[1].name}", lambda item: _answer_in_thread(*item), 0)


_relays = Gathered(RELAY, _answer_all)


def _due(name: str, source: str) -> list[Due]:
    """Return what is to be done now."""
    if name:
        return [("pull", peer) for peer in peers.allowed(Verb.PULL) if peer.name == name]
    reached = _reached_by(source)
    return [item for item in _concerned() if item[1].name not in reached]


def _due_later(name: str, source: str) -> list[Due]:
    """Return what is to be done in a while: who brought a change tells of it by itself, whom it reaches, unless it cannot just now.

    So most have it by then, and are asked before anything is sent.
    """
    if name or not source:
        return []
    reached = _reached_by(source) - {source}
    return [("ask" if how == "push" else how, peer) for how, peer in _concerned() if peer.name in reached]


def _concerned() -> list[Due]:
    me, pushed_to = trusting.me(), peers.allowed(Verb.PUSH)
    names = {peer.name for peer in pushed_to}
    others = [peer for peer in peers.others().values() if peer.name not in names and may(peer.party, Verb.PULL, me)]
    return [*(("wake", peer) for peer in others), *(("push", peer) for peer in pushed_to)]  # what takes less comes first


def _reached_by(source: str) -> set[str]:
    """Return ``source`` and the names of the replicas to which it may push, or which it may wake that they pull."""
    found = peers.others()
    if source not in found:
        return {source}
    party = found[source].party
    return {source} | {
        name for name, peer in found.items() if may(party, Verb.PUSH, peer.party) or may(peer.party, Verb.PULL, party)
    }


def _answer_in_thread(how: str, peer: Listed) -> None:
    result = _answer(how, peer, before_waiting=_let_go)
    if result is not None and result.error:
        logger.info("%s: %s: %s", result.name, result.error["code"], result.error["detail"])


def _answer(how: str, peer: Listed, before_waiting: Callable[[], None] | None = None) -> Result | None:
    if how == "wake":
        _wake(peer)
        return None
    if how == "ask":
        return exchange_with(peer, {Verb.PUSH}, before_waiting=before_waiting)
    return exchange_with(peer, {Verb(how)}, before_waiting=before_waiting, kind=AtOnce)


def _wake(peer: Listed) -> None:
    """Tell ``peer`` that there is something new here, unless it was seen to hold it."""
    me = trusting.me()
    if not is_news(peer, exchange.tips_between(me, peer.party)):
        return
    client = line_to(peer)
    client.patience = HELLO
    try:
        client.json("POST", f"wake?{equality(me, peer.party)}")
    except SyncError as error:
        logger.info("%s was not woken: %s", peer.name, error)
        contacts.failed(peer.name, {"code": error.code, "detail": str(error)})

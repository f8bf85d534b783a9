"""Whom to speak with, and when: a sweep over all that the rule allows, and the answer to a wake-up."""

from __future__ import annotations

import logging
from collections.abc import Sequence

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
from sync.client import HELLO
from sync.conversation import Result, connected, exchange_with
from sync.core.errors import SyncError
from sync.core.policy import Role, Verb, may
from sync.peers import Listed
from sync.visiting import Visits

logger = logging.getLogger(__name__)

LONG = 60.0  # seconds that a sweep waits for its peers; who takes longer goes on beside the next one
_visits, _messages = Visits(), Visits()


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
    leftovers.clear()


def fetch(pairs: Sequence[missing.Pair]) -> None:
    """Ask the peers that this replica may pull from for values, until one has had each; what nobody has stays away."""
    with transaction.atomic():
        missing.note(pairs)
    try:
        for peer in peers.allowed(Verb.PULL):
            left = sorted(set(pairs) & set(missing.all_pairs()))
            try:
                with connected(peer) as client:
                    value_exchange.fetch(client, left)
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
                with connected(peer) as client:
                    answer = client.json("GET", "tips")
                lacking = missing.lacking(missing.pairs_from_json(answer.get("values_missing")))
                contacts.saw(peer.name, exchange.tips_from_json(answer.get("tips")), lacking)
                answered.append(peer.name)
            except SyncError as error:
                logger.info("%s does not say what it holds: %s", peer.name, error)
    return answered


def react(name: str = "") -> list[Result]:
    """Answer a wake-up: pull from ``name``; or, after a change here, push where allowed and wake those who may pull from here."""
    if name:
        return [exchange_with(peer, {Verb.PULL}) for peer in peers.allowed(Verb.PULL) if peer.name == name]
    for peer in _to_wake():
        _wake(peer)
    return [exchange_with(peer, {Verb.PUSH}) for peer in peers.allowed(Verb.PUSH)]


def react_at_once(name: str = "") -> None:
    """The same in threads, without waiting for them: the next message may concern somebody who answers."""
    if name:
        due = [("pull", peer) for peer in peers.allowed(Verb.PULL) if peer.name == name]
    else:
        due = [*(("wake", peer) for peer in _to_wake()), *(("push", peer) for peer in peers.allowed(Verb.PUSH))]
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
    me, pushed_to = trusting.me(), {peer.name for peer in peers.allowed(Verb.PUSH)}
    return [peer for peer in peers.others().values() if peer.name not in pushed_to and may(peer.party, Verb.PULL, me)]


def _wake(peer: Listed) -> None:
    try:
        with connected(peer) as client:
            client.patience = HELLO
            client.json("POST", "wake")
    except SyncError as error:
        logger.info("%s was not woken: %s", peer.name, error)
        contacts.failed(peer.name, {"code": error.code, "detail": str(error)})

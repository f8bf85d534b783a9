"""What is said at once after a change: one request, by what the peer was last seen to hold. The sweep asks, this guesses.

A wrong guess does no harm: a peer refuses what does not continue what it has, and is then asked as by a sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from sync import blob_exchange, contacts, exchange, missing, value_exchange
from sync.client import HELLO
from sync.conversation import Conversation
from sync.core import wire
from sync.core.policy import Party, Verb
from sync.exchange import TipAt
from sync.log import Known
from sync.models import MissingBlob
from sync.peers import Listed
from sync.pulling import turn_to_pull

FEW = 200  # changesets that are sent unasked; of more, what the peer lacks is asked first


class AtOnce(Conversation):
    """A conversation that begins with its point."""

    def run(self, verbs: set[Verb], before_waiting: Callable[[], None] | None = None) -> None:
        """Hand over, fetch, or both."""
        self.client.patience = HELLO
        if Verb.PUSH in verbs and not self._hand_over(before_waiting):
            super().run({Verb.PUSH}, before_waiting)
        if Verb.PULL in verbs:
            self._fetch()

    def _hand_over(self, before_waiting: Callable[[], None] | None) -> bool:
        """Send what the peer seems to lack; return whether that was all there was to do."""
        mine = exchange.tips_between(self.me, self.peer.party)
        theirs = contacts.last_seen(self.peer.name)
        if theirs is None or len(lacking := self._lacking_of(theirs)) > FEW:
            return False
        if not lacking:
            return True
        body = b"".join(frame for frame, _ in exchange.frames(lacking))
        query = equality(self.me, self.peer.party)
        if before_waiting is not None:
            before_waiting()
        answer = self.client.json("POST", f"push?{query}", body, wire.MEDIA_TYPE)
        if answer.get("refused"):
            return False
        self.result.sent += len(lacking)
        blob_exchange.send(self.client, answer["blobs_missing"])
        values = missing.pairs_from_json(answer.get("values_missing"))
        lacks = missing.lacking(value_exchange.send(self.client, values, self.me, self.peer.party))
        contacts.saw(self.peer.name, exchange.together(theirs, mine), lacks)
        return True

    def _lacking_of(self, theirs: Sequence[TipAt]) -> list[Known]:
        return list(islice(exchange.missing(theirs, self.me, self.peer.party), FEW + 1))

    def _fetch(self) -> None:
        with turn_to_pull():
            self.pull(exchange.tips_between(self.me, self.peer.party))
            if MissingBlob.objects.exists():
                blob_exchange.fetch(self.client, self.peer.name)
            value_exchange.fetch(self.client, missing.some_pairs())


def equality(me: Party, peer: Party) -> str:
    """Return the part of an address by which ``peer`` finds out whether it holds just what is here."""
    return f"summary={exchange.summary_between(me, peer)}&values_missing={missing.count()}"


def is_news(peer: Listed, mine: Sequence[TipAt]) -> bool:
    """Say whether ``peer`` may lack some of ``mine``, by what it was last seen to hold."""
    theirs = contacts.last_seen(peer.name)
    return theirs is None or not set(mine) <= set(theirs)

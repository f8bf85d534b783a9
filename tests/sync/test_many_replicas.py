"""What many replicas cost, counted in statements and calls: what has not changed costs nothing, and the status a little for each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from bench.author import Author, trust_all
from bench.records import records
from content.models import Section
from sync import acknowledged, conf, contacts, conversation, ends, exchange, peers, status, sweep, trust_admin, trusting
from sync.core.policy import Party, Role, Verb
from sync.core.trust import Open, TrustEntry
from sync.ends import TipAt
from sync.models import Contact, Local, Tip, Trusted
from sync.receive import receive
from sync.result import Result
from tests.sync.origins import Origin, arrive, backup, take_back, title
from tests.sync.test_replayed_requests import Peer

pytestmark = pytest.mark.django_db(transaction=True)

MASTER = Party(Role.MASTER)
TOKEN = "NODE01-LON-43AX-7K2M9QX1-221126143015"


@pytest.fixture
def node() -> Origin:
    """A node that is on the list here."""
    return Origin("NODE01-LON", Role.NODE).trust_here()


@contextmanager
def counted() -> Iterator[list[tuple[str, Any]]]:
    """Yield the statements that run within, with what is put into them."""
    found: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def calls(work: Callable[[], object]) -> int:
    """Return how many functions ``work`` calls: a measure of what it does, without a clock."""
    found = Counter[str]()
    sys.setprofile(lambda frame, event, what: found.update([event]))
    try:
        work()
    finally:
        sys.setprofile(None)
    return found["call"] + found["c_call"]


def grow(count: int) -> list[Author]:
    """Let ``count`` replicas be on the list here, each with one changeset; return those that are new."""
    there = len(trusting.listing())
    authors = [Author(f"EDGE{number}-LON") for number in range(there, count + 1)]
    with transaction.atomic():
        trust_all(authors)
    trusting.current()
    receive(chain.from_iterable(author.frames(records(1, seed=number)) for number, author in enumerate(authors)))
    return authors


def see(names: Iterable[str], lacks: int = 0) -> None:
    """Let each have been seen with what is here, but for the chain that follows its own, if it lacks that."""
    tips = exchange.tips_between(trusting.me(), Party(Role.EDGE, "bench"))
    for number, name in enumerate(names):
        contacts.saw(name, [tip for at, tip in enumerate(tips) if not lacks or at != number + 1], [])


# --- the status ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", ["never", "level", "at one time", "each at another time"])
def test_ten_times_the_replicas_cost_the_status_ten_times_the_calls(seen):
    """Not a hundred times, and with hardly more statements: states that differ are read a hundred at once, places 500."""
    found = []
    for count in (20, 200):
        grow(count)
        names = list(peers.others())
        if seen == "each at another time":
            see(names, lacks=1)
        elif seen != "never":
            see(names)
        if seen == "at one time":
            Section.objects.create(title="News")
        status.status()
        with counted() as statements:
            found.append((calls(status.status), len(statements)))
    (few, before), (many, after) = found
    assert many < 12 * few, found
    assert after <= before + 200 // 100, found


def naive(name: str) -> tuple[int, int]:
    """Return behind and ahead of one peer from all of its tips and all that are here."""
    [contact] = Contact.objects.filter(name=name)
    ours, theirs = exchange.tips_between(trusting.me(), peers.others()[name].party), exchange.tips_from_json(contact.tips)
    return exchange.count_unknown(theirs, ours), exchange.count_missing(theirs, ours)


def test_the_status_says_what_a_comparison_of_everything_says(node):
    """Of replicas that are level, behind, ahead, both, elsewhere, forked, and noted by a release that kept no summary."""
    grow(10)
    for number in range(3):
        arrive(node.make(title(TOKEN, f"News {number}")))
    tips = exchange.tips_between(trusting.me(), MASTER)
    news = next(tip for tip in tips if tip.chain.name == node.name)
    newer, other = TipAt(news.chain, 5, bytes(16)), TipAt(news.chain._replace(name="NODE09-LON"), 2, bytes(range(16)))
    former = TipAt(news.chain, 1, node.made[0].dot)
    rest = [tip for tip in tips if tip != news]
    states = [tips, rest, [*rest, former], [*rest, newer], [*tips, newer], [*rest[2:], other], [], tips[:1], [*rest, former]]
    names = [name for name in peers.others() if name != node.name]
    for name, held in zip(names, states, strict=True):
        contacts.saw(name, held, [])
    Contact.objects.filter(name=names[4]).update(summary="")
    found = {peer["name"]: (peer["behind"], peer["ahead"]) for peer in status.status()["peers"]}
    assert {name: found[name] for name in names} == {name: naive(name) for name in names}
    assert found[names[3]] == (2, 0) and found[names[2]] == (0, 2)
    assert status.status()["only_here"] == 0
    Section.objects.create(title="News")
    assert status.status()["only_here"] == 1
    Contact.objects.exclude(name=names[7]).delete()
    held = sum(tip.seq for tip in states[7])
    assert status.status()["only_here"] == sum(tip.seq for tip in exchange.tips_between(MASTER, MASTER)) - held


# --- hello -----------------------------------------------------------------------------------------------------------------------


def test_a_hello_between_two_that_are_level_costs_the_same_with_ten_chains_and_two_hundred(node):
    """Whoever asks and whoever answers compares two digests; the tips are neither read, nor written, nor looked at."""
    peer = Peer(node)
    found = []
    for count in (10, 200):
        grow(count)
        path = f"hello?summary={exchange.summary_between(trusting.me(), MASTER)}&values_missing=0"
        assert Peer.send(peer.signed("GET", path)).status_code == 200  # it is noted what the node holds
        costs = []
        for _ in range(3):  # one of fifty requests also clears up what is old
            request = peer.signed("GET", path)
            with counted() as statements:
                costs.append((calls(lambda request=request: Client().generic(**request)), len(statements)))
        found.append(min(costs))
        [contact] = Contact.objects.filter(name=node.name)
        assert len(contact.tips) >= count
        assert not [sql for sql, _ in statements if "sync_tip" in sql and "trust" not in sql]
    (few, before), (many, after) = found
    assert before == after
    assert abs(many - few) < 100, found


class Level:
    """A line to a node that holds what is here."""

    patience = 0.0

    def json(self, method: str, path: str) -> dict[str, Any]:
        """Answer a hello."""
        return {"name": "NODE01-LON", "summary": path.partition("summary=")[2][:64]}


def test_so_does_asking(node):
    """The one who says hello compares two digests as well, and notes nothing anew."""
    found = []
    for count in (10, 200):
        grow(count)
        peer = peers.others()[node.name]
        asking = conversation.Conversation(peer, Level(), Result(node.name), None)
        asking.run(set(Verb))
        with counted() as statements:
            found.append((calls(lambda asking=asking: asking.run(set(Verb))), len(statements)))
        assert len(Contact.objects.get(name=node.name).tips) >= count
    (few, before), (many, after) = found
    assert before == after
    assert abs(many - few) < 10, found


def test_when_one_chain_grows_the_others_are_not_read_again(node):
    """One statement looks which chains have grown, and one reads these."""
    read = []
    for count in (10, 200):
        grow(count)
        exchange.tips_between(MASTER, MASTER)
        arrive(node.make(title(TOKEN, f"{count}")))
        with counted() as statements:
            ends.chains_here()
        [(_, params)] = [found for found in statements if 'FROM "sync_tip" INNER JOIN' in found[0]]
        read.append((len(statements), len(params)))
    assert read[0] == read[1] and read[0][1] == 1, read


def anew() -> ends.Ends:
    """Return the ends of the chains as a process finds them that has just started."""
    ends._kept.clear()
    return ends.chains_here()


def test_what_is_followed_is_what_is_read(node):
    """After new chains, longer ones, a fork, a backup, another key, a revocation, a return, a failed transaction, and very many."""
    twin = Origin(node.name, Role.NODE, incarnation=node.incarnation, key=node.key)

    def fork() -> None:
        arrive(twin.make(title(TOKEN, "Otherwise")))

    def taken_back() -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Section.objects.create(title="Never")
            ends.chains_here()
            raise ZeroDivisionError
        Section.objects.create(title="Instead")

    def put_back() -> None:
        copy = backup()
        arrive(node.make(title(TOKEN, "Newest")))
        ends.chains_here()
        take_back(copy)
        Section.objects.create(title="Instead")

    def other_key() -> None:
        with transaction.atomic():
            key = Origin("NODE02-LON").public
            trusting.enter(node.name, TrustEntry({}, Open(Role.NODE, "thames", "", key)))
            trusting.refresh()

    steps: list[Callable[[], object]] = [
        lambda: grow(5),
        lambda: arrive(node.make(title(TOKEN, "News"))),
        lambda: Section.objects.create(title="News"),
        fork,
        lambda: arrive(node.make(title(TOKEN, "Newer"))),
        put_back,
        other_key,
        lambda: trust_admin.revoke(node.name),
        taken_back,
        Origin(node.name, Role.NODE, incarnation="00000000000000bb").trust_here,
        lambda: grow(500),
    ]
    for step in steps:
        before = ends.chains_here()
        step()
        followed = ends.chains_here()
        assert followed.at != before.at
        read = anew()
        assert followed.chains == read.chains
        for peer in (MASTER, Party(Role.EDGE, "thames")):
            assert followed.between(MASTER, peer) == read.between(MASTER, peer)
            assert followed.between(MASTER, peer).summary == ends.summary(exchange.tips_between(MASTER, peer))
        ends._kept[str(connection.settings_dict["NAME"])] = followed  # the next step begins with what was followed


def test_whom_a_change_concerns_and_what_a_master_holds_cost_the_same_statements():
    """An edge that brought a change tells its own farm and the masters; a master that was seen proves what is in every chain."""
    found = []
    Origin("MASTER02-LON", Role.MASTER, farm="").trust_here()
    for count in (10, 200):
        grow(count)
        see(["MASTER02-LON"])
        sweep._due("", "EDGE3-LON")
        with counted() as statements:
            written, now, later = sweep._due("", ""), sweep._due("", "EDGE3-LON"), sweep._due_later("", "EDGE3-LON")
            [holding] = acknowledged.by_masters().values()
        everybody = peers.others().keys()
        assert {peer.name for _, peer in written} == everybody and not now
        assert {peer.name for _, peer in later} == everybody - {"EDGE3-LON"}
        assert len(holding.upto) >= count
        found.append(len(statements))
    assert found[0] == found[1], found


# --- the trusted list ------------------------------------------------------------------------------------------------------------


def test_entering_one_more_writes_one_row_and_reads_what_is_new():
    """The 200th replica costs the statements of the tenth, and nobody else's entry is written."""
    found = []
    for count in (10, 200):
        grow(count)
        with counted() as statements:
            Origin(f"NODE{count}-LON", Role.NODE).trust_here()
        written = [
            params for sql, params in statements if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "sync_trusted" in sql
        ]
        assert [params[0] for params in written] == [f"NODE{count}-LON"]
        found.append(len(statements))
    assert found[0] == found[1]


def test_the_table_of_the_list_follows_the_list():
    """A rank that moves is written, whatever is said no more is deleted, and just the names are returned of which that is so."""
    grow(3)
    Trusted.objects.create(name="NODE77-LON", rank=77, entry={"closed": {}, "open": None})
    Trusted.objects.filter(name="EDGE2-LON").update(rank=99)
    Trusted.objects.filter(name="EDGE3-LON").update(entry={"closed": {}, "open": None})
    with transaction.atomic():
        assert trusting.refresh() == {"NODE77-LON", "EDGE3-LON"}
    assert [row.rank for row in Trusted.objects.order_by("rank")] == list(range(Trusted.objects.count()))
    assert set(Trusted.objects.values_list("name", flat=True)) == {conf.name(), "EDGE1-LON", "EDGE2-LON", "EDGE3-LON"}


def test_ends_are_not_taken_over_from_another_incarnation(node):
    """Though the last changeset stands in the same place: what lies below it in a database that was put back may be another."""
    other = Origin("NODE02-LON", Role.NODE).trust_here()
    arrive(other.make(title(TOKEN.replace("NODE01", "NODE02"), "Below")))
    arrive(node.make(title(TOKEN, "Last")))
    [below] = [tip for tip in exchange.tips_between(MASTER, MASTER) if tip.chain.name == other.name]
    Tip.objects.filter(dot=below.dot).update(dot=b"\1" * 16)  # as if something else had come in this place
    Local.objects.update(incarnation="00112233445566ff")
    arrive(node.make(title(TOKEN, "One more")))
    assert b"\1" * 16 in {tip.dot for tip in exchange.tips_between(MASTER, MASTER)}

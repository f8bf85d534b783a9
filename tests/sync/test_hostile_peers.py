"""Hostile peers, each test named after the attack: what others wrote stays, and what a rogue wrote goes when he is revoked.

Requests that are captured, altered or sent elsewhere are in ``tests/cluster/test_rule_over_http.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Block, Page, Publication, Section, Submission
from sync import blobs, conf, exchange, incoming, log, orphans, receive, status, trust_admin, trusting
from sync.core import wire
from sync.core.changeset import Changeset, Op, Write
from sync.core.errors import MalformedError
from sync.core.policy import Party, Role
from sync.models import Entry
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, framed, rows, state, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 5)]
MINE = "MASTER01-LON-43AX-7K2M9QXV-221126143015"
SLOWER = 4 if connection.vendor == "postgresql" else 1  # emptying its tables takes that much longer
LONG = "A page that was long enough to travel beside its changeset, and that somebody on the way did not like at all."


@pytest.fixture
def honest() -> Origin:
    """An edge that keeps to the rules."""
    return Origin("EDGE01-LON").trust_here()


@pytest.fixture
def rogue() -> Origin:
    """An edge that was trusted, and is in other hands now."""
    return Origin("EDGE02-LON").trust_here()


def shown(token: str = TOKENS[0]) -> str | None:
    """Return the title that a section shows; None where it is not there."""
    return Section.objects.filter(pk=token).values_list("title", flat=True).first()


def write(model: str, token: str, **values: Any) -> Op:
    """Return the op that writes ``values`` over nothing."""
    return Op(model, token, [Write(name, None, value, []) for name, value in values.items()])


def over_all(model: str, token: str, **values: Any) -> Op:
    """Return the op that writes ``values`` over the one reference of its changeset."""
    return Op(model, token, [Write(name, None, value, [0]) for name, value in values.items()])


# --- a relay ---------------------------------------------------------------------------------------------------------------------


def _altered(changeset: Changeset) -> Changeset:
    raw = changeset.raw.replace(b'"author":"ada"', b'"author":"eve"')
    return Changeset(raw, changeset.signature, changeset.head, hashlib.sha256(raw).digest(), changeset.values)


def _stripped(changeset: Changeset) -> Changeset:
    return Changeset(changeset.raw, changeset.signature, changeset.head, changeset.id, {})


def _resigned(changeset: Changeset) -> Changeset:
    return Changeset(changeset.raw, bytes(64), changeset.head, changeset.id, changeset.values)


RELAYS: list[Callable[[Changeset], Changeset]] = [_altered, _stripped, _resigned]


def _history() -> list[Changeset]:
    one, two = Origin("EDGE01-LON", key=KEYS[0]).trust_here(), Origin("EDGE02-LON", key=KEYS[1]).trust_here()
    first = one.make(title(TOKENS[0], "A"), write("content.section", TOKENS[0], description=LONG), ms=1000)
    second = two.make(title(TOKENS[0], "B", over=(0,)), refs=[first.dot], ms=2000)
    third = one.make(title(TOKENS[0], "C", over=(0,)), refs=[second.dot], ms=3000)
    fourth = two.make(Op("content.section", TOKENS[0], [], [0]), title(TOKENS[1], "D"), refs=[first.dot], ms=4000)
    return [first, second, third, fourth]


KEYS = [Ed25519PrivateKey.generate() for _ in range(4)]


@settings(
    max_examples=25 // SLOWER, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(st.data())
def test_a_relay_that_alters_strips_drops_reorders_and_repeats_what_others_wrote(data):
    """It can delay. What it has changed is refused, and one honest exchange later everything is as if it had never been."""
    forget_everything()
    arrive(*_history())
    wanted = state()
    forget_everything()
    made = _history()
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=6))
        bad = [data.draw(st.sampled_from(RELAYS))(c) if data.draw(st.booleans()) else c for c in part]
        receive.receive([wire.Frame(log.pack(bad), bad, first={"not": "pure"})])
        assert not Entry.objects.filter(chain__name__startswith="EDGE").exclude(dot__in=[c.dot for c in made]).exists()
    arrive(*made)
    assert state() == wanted
    assert_rows_follow_from_log()


def test_a_relay_that_swaps_a_value_for_another(honest):
    """A value is named by its digest, so another one is not of the protocol; the frame is refused and nothing of it stored."""
    made = honest.make(write("content.section", TOKENS[0], title="x", description=LONG))
    lines = wire.lines_of(made.raw, made.signature, [b'"Something else, that says the contrary."'])
    with pytest.raises(MalformedError):
        receive.receive(wire.frames([wire.pack(lines)]))
    assert not Section.objects.exists()
    assert arrive(made).applied == 1


def test_a_relay_that_withholds_what_one_origin_wrote(honest, rogue):
    """What another peer brings is taken, and nothing waits behind what is missing but its own chain."""
    kept, news = (
        [honest.make(title(TOKENS[0], "Withheld")), honest.make(title(TOKENS[1], "Behind"))],
        rogue.make(title(TOKENS[2], "x")),
    )
    receipt = arrive(kept[1], news)
    assert (receipt.applied, receipt.refused) == (1, {"previous_missing": 1})
    assert arrive(*kept).applied == 2


def test_a_peer_that_claims_to_hold_what_it_does_not(honest):
    """It is sent nothing, which hurts nobody but itself, and nothing of it is believed."""
    arrive(honest.make(title(TOKENS[0], "x")))
    chain = exchange.tips_between(trusting.me(), Party(Role.MASTER))[0].chain
    lie = [exchange.TipAt(chain, 1 << 40, bytes(16))]
    before = state()
    list(exchange.missing(lie, trusting.me(), Party(Role.MASTER)))
    assert state() == before


# --- a compromised edge ----------------------------------------------------------------------------------------------------------

PUBLISHED = {"page_id": TOKENS[3], "section_id": TOKENS[3], "slug": "tide-43ax", "title": "As published", "author": "alice"}
PUBLISHED |= {"date": "2026-11-22T00:00:00+00:00", "made": "2026-11-22T00:00:00+00:00"}


def published(origin: Origin, token: str) -> Changeset:
    """Return the changeset by which ``origin`` publishes."""
    return origin.make(write("content.publication", token, **PUBLISHED, data={"body": "honest"}), ms=1_700_000_000_000)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("ms", [1000, 1_700_000_009_000])
def test_an_edge_that_alters_what_others_published(honest, rogue, ms, is_late):
    """Whatever its clock says and whatever it overwrites, before or after: what is made once shows what its maker wrote."""
    token = "EDGE01-LON-43AX-7K2M9QXV-221126143015"
    good = published(honest, token)
    forged = rogue.make(
        over_all("content.publication", token, **{**PUBLISHED, "title": "Forged"}, data={"body": "forged"}),
        refs=[good.dot],
        ms=ms,
    )
    for changeset in (good, forged) if is_late else (forged, good):
        arrive(changeset)
    assert [(p.title, p.data) for p in Publication.objects.all()] == [("As published", {"body": "honest"})]
    assert_rows_follow_from_log()


def test_an_edge_that_deletes_what_others_published(honest, rogue):
    """Publications are taken down by their page, which is undone by another click; nobody deletes one."""
    token = "EDGE01-LON-43AX-7K2M9QXV-221126143015"
    good = published(honest, token)
    arrive(good, rogue.make(Op("content.publication", token, [], [0]), refs=[good.dot]))
    assert Publication.objects.get().title == "As published"
    assert_rows_follow_from_log()


def test_an_edge_that_publishes_in_the_name_of_another(rogue):
    """A row that is made once by its maker is not shown before that one wrote it."""
    arrive(published(rogue, "EDGE01-LON-43AX-7K2M9QXV-221126143015"))
    assert not Publication.objects.exists()
    assert status.status()["deferred"] == 1


def test_an_edge_that_alters_what_a_visitor_sent(honest, rogue):
    """A submission is what it was when its replica took it."""
    token = "EDGE01-LON-43AX-7K2M9QXV-221126143015"
    values = {"form": "contact", "farm": "thames", "idempotency_key": "k", "created": "2026-11-22T00:00:00+00:00"}
    sent = honest.make(write("content.submission", token, **values, data={"text": "help"}), scope="farm:thames")
    forged = rogue.make(
        over_all("content.submission", token, data={"text": "never mind"}), refs=[sent.dot], scope="farm:thames"
    )
    arrive(sent, forged)
    assert Submission.objects.get().data == {"text": "help"}
    assert_rows_follow_from_log()


@pytest.mark.parametrize("way", ["update", "delete", "save"])
def test_a_row_that_is_made_once_is_not_altered_here_either(way):
    """By no way of the ORM: the transaction is refused, and says what to do."""
    section = Section.objects.create(title="x")
    page = Page.objects.create(title="x", section=section)
    made = Publication.objects.create(page=page, section=section, slug="x", title="As published", date=page.date, data={})
    acts = {
        "update": lambda: Publication.objects.update(title="Altered"),
        "delete": lambda: Publication.objects.all().delete(),
        "save": made.save,
    }
    with pytest.raises(TypeError, match="made once"), transaction.atomic():
        acts[way]()
    assert Publication.objects.get().title == "As published"


def test_an_edge_that_writes_to_the_trusted_list(rogue):
    """It makes itself a master, revokes the root, and lets a friend in: nothing of it counts, and the friend stays unknown."""
    friend = Origin("EDGE09-LON")
    entry = {"closed": {}, "open": {"role": "master", "farm": "", "url": "", "key": friend.public}}
    before = trusting.current().entries
    ops = [Op("sync.trust", name, [Write("entry", None, entry, [])]) for name in (rogue.name, friend.name)]
    ops.append(Op("sync.trust", conf.name(), [Write("entry", None, {"closed": {}, "open": None}, [])]))
    assert arrive(*(rogue.make(op, scope="trust") for op in ops)).quarantined == 3
    assert trusting.current().entries == before
    assert arrive(friend.make(title(TOKENS[0], "x"))).refused == {"origin_unknown": 1}


def test_an_edge_that_writes_where_another_farm_reads(rogue):
    """What visitors sent to another farm is neither altered nor joined by it."""
    assert arrive(rogue.make(title(TOKENS[0], "x", model="content.submission"), scope="farm:seine")).quarantined == 1
    assert not Submission.objects.exists()


def test_an_edge_that_fills_the_trusted_list_with_rubbish_makes_nobody_slow(rogue):
    """What it wrote there is not read when the list is evaluated."""
    for number in range(30):  # each in a segment of its own
        arrive(rogue.make(Op("sync.trust", f"EDGE{number}-LON", [Write("entry", None, 7, [])]), scope="trust"))
    with CaptureQueriesContext(connection) as done:
        trusting.refresh()
    assert len(_frames_read(done)) < 10


def _frames_read(done: CaptureQueriesContext) -> list[Any]:
    return [query for query in done if query["sql"].startswith("SELECT") and "frame" in query["sql"].split("FROM")[0]]


def test_a_quarantined_entry_does_not_wake_up_when_its_writer_becomes_a_master(rogue):
    """What it wrote as an edge goes on to count as an edge's, also what comes to light later; its pages stay."""
    friend = Origin("EDGE09-LON")
    entry = {"closed": {}, "open": {"role": "master", "farm": "", "url": "", "key": friend.public}}
    slept = rogue.make(Op("sync.trust", friend.name, [Write("entry", None, entry, [])]), scope="trust")
    arrive(slept, rogue.make(title(TOKENS[0], "By an edge")))
    trust_admin.trust(rogue.name, Role.MASTER, "", "http://x", rogue.public)
    assert friend.name not in trusting.current().entries
    assert arrive(rogue.make(title(TOKENS[1], "Written before it heard of that"))).applied == 1
    assert (shown(), shown(TOKENS[1])) == ("By an edge", "Written before it heard of that")
    promoted = Origin(rogue.name, Role.MASTER, "", incarnation="00000000000000dd", key=rogue.key)
    arrive(promoted.make(Op("sync.trust", friend.name, [Write("entry", None, entry, [])]), scope="trust"))
    assert friend.name in trusting.current().entries
    assert Entry.objects.get(dot=slept.dot).state == Entry.State.QUARANTINED


# --- a great many rows -----------------------------------------------------------------------------------------------------------


def flood(origin: Origin, count: int) -> list[Changeset]:
    """Return changesets of ten rows each."""
    names = [f"{origin.name}-43AX-{n:08}-221126143015" for n in range(count)]
    return [origin.make(*(title(name, "Flood") for name in names[start : start + 10])) for start in range(0, count, 10)]


def test_an_edge_that_writes_very_many_rows_is_revoked_and_its_rows_go(honest, rogue):
    """Others go on, and revoking reads what the rogue wrote and what stands under it, not the log."""
    good = [honest.make(title(f"EDGE01-LON-43AX-{n:08}-221126143015", "Good")) for n in range(400)]
    for changeset in good:
        arrive(changeset)  # each in a segment of its own
    wave = flood(rogue, 3000)
    wave.append(rogue.make(title(good[7].head.ops[0].token, "Bad", over=(0,)), refs=[good[7].dot]))
    receive.receive([framed(*wave[start : start + 100]) for start in range(0, len(wave), 100)])
    assert Section.objects.count() == 3400
    with CaptureQueriesContext(connection) as done:
        trust_admin.revoke(rogue.name, 1)
    assert set(Section.objects.values_list("title", flat=True)) == {"Good"}
    assert Section.objects.count() == 400
    assert len(_frames_read(done)) < 40, "revoking has read segments of others"
    assert_rows_follow_from_log()


def test_what_a_revoked_edge_goes_on_to_write_is_not_judged_again_and_again(honest, rogue):
    """Each changeset that comes after the cut is judged once; what came before it is not read again."""
    wave = flood(rogue, 1000)
    arrive(*wave[:50])
    trust_admin.revoke(rogue.name)
    for changeset in wave[50:60]:
        arrive(changeset)
    with CaptureQueriesContext(connection) as done:
        assert arrive(wave[60]).quarantined == 1
    assert not _frames_read(done)
    states = [
        query for query in done if query["sql"].startswith("SELECT") and '"state" = 2' in query["sql"] and "NOT" in query["sql"]
    ]
    assert not states, "the chain was judged again"


@pytest.mark.parametrize(("piece", "total"), [(b"x" * 10, 5), (b"x", incoming.MAX_BYTES + 1), (b"", -1)])
def test_a_peer_that_hands_over_a_blob_without_end(piece, total):
    """More than it said, or than anybody takes, is not written down."""
    with pytest.raises(blobs.BlobError):
        incoming.add_piece("ab" * 32, 0, piece, total)
    assert incoming.held("ab" * 32) == 0


# --- revocation ------------------------------------------------------------------------------------------------------------------


def test_revoked_from_a_number_a_stolen_key_forks_below_it_or_opens_a_new_incarnation(rogue):
    """Neither counts, whenever it comes; what the honest owner had written up to the number does."""
    good = [rogue.make(title(TOKENS[0], "One"), ms=1000), rogue.make(title(TOKENS[1], "Two"), ms=2000)]
    third = rogue.make(title(TOKENS[2], "Three"), ms=3000)
    thief = Origin(rogue.name, key=rogue.key, made=good[:1])
    fork = thief.make(title(TOKENS[0], "Forked", over=(0,)), refs=[good[0].dot], ms=1500)
    elsewhere = Origin(rogue.name, key=rogue.key, incarnation="00000000000000bb").make(title(TOKENS[3], "Elsewhere"), ms=1)
    arrive(*good, third, elsewhere)
    assert shown(TOKENS[3]) == "Elsewhere"
    trust_admin.revoke(rogue.name, 3)
    assert arrive(fork).quarantined == 1
    assert [shown(token) for token in TOKENS] == ["One", "Two", None, "Elsewhere"]  # the master had seen it, before its cut
    late = Origin(rogue.name, key=rogue.key, incarnation="00000000000000cc").make(title(TOKENS[3], "Late"), ms=1)
    assert arrive(late).refused == {"origin_unknown": 1}
    assert_rows_follow_from_log()


def test_an_incarnation_that_came_before_the_revocation_is_offered_to_nobody(settings):
    """One replica took it in time, the others cannot take it any more: the exchange between them ends all the same."""
    root, rogue = Origin("MASTER09-PAR", Role.MASTER, ""), Origin("EDGE08-LON")
    _become_edge(settings, root)
    entered = _entry(root, rogue, {})
    good, aside = rogue.make(title(TOKENS[0], "Good")), Origin(rogue.name, key=rogue.key, incarnation="00000000000000bb")
    arrive(entered, good, aside.make(title(TOKENS[1], "Aside")))
    assert shown(TOKENS[1]) == "Aside"
    arrive(_revoked(root, rogue, entered, [good]))
    assert shown(TOKENS[1]) is None
    offered = {
        tip.chain.incarnation
        for tip in exchange.tips_between(trusting.me(), Party(Role.MASTER))
        if tip.chain.name == rogue.name
    }
    assert offered == {rogue.incarnation}
    sent = list(exchange.missing([], trusting.me(), Party(Role.MASTER)))
    assert aside.made[0].dot not in {entry.dot for entry in sent}


def test_a_page_of_a_revoked_origin_hides_no_honest_block_under_it(honest, rogue):
    """The page goes; the block that somebody else wrote for it is listed as an orphan, and shown when a page is there again."""
    page = rogue.make(write("content.page", TOKENS[1], title="Page", section_id=TOKENS[2]))
    block = write("content.block", TOKENS[0], parent_id=TOKENS[1], ordering="a", type="code")
    arrive(page, honest.make(block))
    assert status.status()["orphans"] == 0
    trust_admin.revoke(rogue.name, 1)
    assert not Page.objects.exists()
    assert Block.objects.get().parent_id == TOKENS[1]
    assert [key.token for key in orphans.orphans()] == [TOKENS[0]]
    assert_rows_follow_from_log()


def _become_edge(settings: Any, root: Origin) -> None:
    settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "thames"}
    trust_admin.pin(root.name, "http://m", root.public)


def _entry(
    writer: Origin, subject: Origin, closed: dict[str, Any], refs: Sequence[Changeset] = (), is_open: bool = True
) -> Changeset:
    listed = {"role": subject.role.value, "farm": subject.farm, "url": "", "key": subject.public} if is_open else None
    op = Op("sync.trust", subject.name, [Write("entry", None, {"closed": closed, "open": listed}, list(range(len(refs))))])
    return writer.make(op, refs=[changeset.dot for changeset in refs], scope="trust")


def _revoked(writer: Origin, subject: Origin, entered: Changeset, tips: Sequence[Changeset]) -> Changeset:
    closed = {"role": subject.role.value, "farm": subject.farm, "key": subject.public, "tips": [tip.dot.hex() for tip in tips]}
    return _entry(writer, subject, {subject.incarnation: closed}, [entered], is_open=False)


def test_two_masters_that_change_the_list_at_once(settings):
    """One revokes whom the other gives another farm: the revocation wins, in whatever order they come."""
    root, second, edge = Origin("MASTER09-PAR", Role.MASTER, ""), Origin("MASTER08-PAR", Role.MASTER, ""), Origin("EDGE08-LON")
    _become_edge(settings, root)
    entered = [_entry(root, second, {}), _entry(root, edge, {})]
    made = edge.make(title(TOKENS[0], "x"))
    moved = _entry(second, Origin(edge.name, farm="seine", key=edge.key), {}, [entered[1]])
    gone = _revoked(root, edge, entered[1], [made])
    for order in ([moved, gone], [gone, moved]):
        forget_everything()
        trust_admin.pin(root.name, "http://m", root.public)
        arrive(*entered, made)
        for changeset in order:
            arrive(changeset)
        found = trusting.current().entries[edge.name]
        assert found.open is None and shown() == "x"
        assert arrive(edge.make(title(TOKENS[1], "after"))).quarantined == 1
        edge.made.pop()


def test_a_master_that_is_revoked(settings):
    """Whom it entered before the cut stays, with what they wrote; whom it entered after is unknown, with what they wrote."""
    root, second = Origin("MASTER09-PAR", Role.MASTER, ""), Origin("MASTER08-PAR", Role.MASTER, "")
    before, after = Origin("EDGE07-LON"), Origin("EDGE08-LON")
    _become_edge(settings, root)
    entered = _entry(root, second, {})
    names = [_entry(second, before, {}), _entry(second, after, {})]
    arrive(entered, *names, before.make(title(TOKENS[0], "Before")), after.make(title(TOKENS[1], "After")))
    assert (shown(), shown(TOKENS[1])) == ("Before", "After")
    arrive(_revoked(root, second, entered, names[:1]))
    assert (shown(), shown(TOKENS[1])) == ("Before", None)
    assert before.name in trusting.current().entries and after.name not in trusting.current().entries
    assert arrive(before.make(title(TOKENS[2], "Goes on"))).applied == 1
    assert_rows_follow_from_log()


def test_a_later_master_revokes_an_edge_that_was_entered_before_it(settings):
    """Masters stand before all others, so whoever is near may act; and it cannot revoke a master that stands before it."""
    root, edge, late = Origin("MASTER09-PAR", Role.MASTER, ""), Origin("EDGE08-LON"), Origin("MASTER08-PAR", Role.MASTER, "")
    _become_edge(settings, root)
    entered = [_entry(root, edge, {}), _entry(root, late, {})]
    made = edge.make(title(TOKENS[0], "x"))
    arrive(*entered, made, _revoked(late, edge, entered[0], [made]), _entry(late, root, {}, is_open=False))
    entries = trusting.current().entries
    assert entries[edge.name].open is None
    assert entries[root.name].open is not None
    assert arrive(edge.make(title(TOKENS[1], "after"))).quarantined == 1


@pytest.mark.parametrize("subject", ["x" * 64, "nobody", "EDGE\u0301-LON"])
@pytest.mark.parametrize("change", [{}, {"farm": "a b"}, {"url": "http://x\x00"}, {"url": "x" * 301}])
def test_a_master_that_enters_what_no_table_takes(subject, change):
    """It is ignored, and does not stop the list."""
    master = Origin("MASTER02-LON", Role.MASTER, "").trust_here()
    listed = {"role": "edge", "farm": "", "url": "", "key": master.public, **change}
    name = subject if not change else "EDGE08-LON"
    op = Op("sync.trust", name, [Write("entry", None, {"closed": {}, "open": listed}, [])])
    assert arrive(master.make(op, scope="trust")).applied == 1
    assert name not in trusting.current().entries


# --- the law: state with a rogue's forgeries beyond its cut = state without them -------------------------------------------------


@st.composite
def forged(draw: st.DrawFn) -> tuple[list[Changeset], list[Changeset], list[Changeset]]:
    """Return the changes of the list; what counts; and what a rogue made beyond its cut, which some of the honest have seen."""
    root = Origin("MASTER09-PAR", Role.MASTER, "", key=KEYS[0])
    good, rogue = Origin("EDGE01-LON", key=KEYS[1]), Origin("EDGE02-LON", key=KEYS[2])
    made: list[Changeset] = []

    def op(writer: Origin, seen: Iterable[Changeset]) -> Changeset:
        refs = list({c.dot: c for c in seen}.values())
        token, over = draw(st.sampled_from(TOKENS[:2])), list(range(len(refs)))
        kind = draw(st.sampled_from(["title", "text", "delete"]))
        write_ = Write("title" if kind == "title" else "description", None, draw(st.sampled_from("ABC")), over)
        found = Op("content.section", token, [], over) if kind == "delete" else Op("content.section", token, [write_])
        return writer.make(found, refs=[c.dot for c in refs], ms=draw(st.integers(1, 50)))

    def some() -> list[Changeset]:
        return draw(st.lists(st.sampled_from(made), max_size=3)) if made else []

    for _ in range(draw(st.integers(1, 4))):
        made.append(op(draw(st.sampled_from([good, rogue])), some()))
    mine = [c for c in made if c.head.name == rogue.name]
    forgeries: list[Changeset] = []
    thieves = [
        rogue,
        Origin(rogue.name, key=rogue.key, made=mine[: draw(st.integers(0, len(mine)))]),
        Origin(rogue.name, key=rogue.key, incarnation="00000000000000bb"),
    ]
    for _ in range(draw(st.integers(1, 4))):
        forgeries.append(op(draw(st.sampled_from(thieves)), [*some(), *forgeries[-1:]]))
    forgeries = [c for c in forgeries if c.dot not in {x.dot for x in made}]
    for _ in range(draw(st.integers(0, 3))):
        made.append(op(good, [*some(), *draw(st.lists(st.sampled_from(forgeries), max_size=2))] if forgeries else some()))
    entered = [_entry(root, good, {}), _entry(root, rogue, {})]
    trust = [*entered, _revoked(root, rogue, entered[1], mine[-1:])]
    return trust, made, forgeries


def _deliver(changesets: Sequence[Changeset], everything: Sequence[Changeset]) -> tuple[Any, ...]:
    forget_everything()
    trust_admin.pin("MASTER09-PAR", "http://m", Origin("MASTER09-PAR", key=KEYS[0]).public)
    for changeset in changesets:
        arrive(changeset)
    arrive(*everything)
    return (*state(), rows(), trusting.current().entries)


@settings(
    max_examples=40 // SLOWER, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(st.data())
def test_state_with_a_rogues_forgeries_beyond_its_cut_is_the_state_without_them(data):
    """Forks below the cut, new incarnations, old dates; seen by others or not; before or after the revocation, in any order."""
    trust, made, forgeries = data.draw(forged())
    good = [*trust, *made]
    order = data.draw(st.permutations([*good, *forgeries]))
    found = _deliver(order, good)
    assert_rows_follow_from_log()
    assert found == _deliver(good, good)

"""Compaction and values that travel without their changesets: nothing that anybody sees, counts or may ask for is lost."""

from __future__ import annotations

import random
from collections.abc import Iterable
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Section
from sync import (
    acknowledged,
    claims,
    compact,
    conflicts,
    contacts,
    exchange,
    history,
    log,
    missing,
    refill,
    registers,
    space,
    status,
    value_exchange,
)
from sync.client import Peer
from sync.core.changeset import Changeset, Op, Write
from sync.core.errors import NotAllowedError
from sync.core.policy import Party, Role
from sync.models import Claim, Entry, Local, Register, Segment, Tip
from sync.receive import receive
from sync.verify import verify
from tests.sync.origins import Origin, arrive, forget_everything, framed, state
from tests.sync.test_receive import KEYS, TOKENS, histories
from tests.sync.test_verify import OldRelease

pytestmark = pytest.mark.django_db(transaction=True)

MASTER = "MASTER09-LON"


@pytest.fixture
def as_edge(settings):
    """Let this replica, which has entered whom it trusts as a master, be an edge from here on."""

    def become() -> None:
        settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "thames"}

    return become


@pytest.fixture
def one():
    """An edge that is trusted here, beside a second master."""
    Origin(MASTER, Role.MASTER, "").trust_here()
    return Origin("EDGE01-LON").trust_here()


def long(number: int) -> str:
    """Return a text that travels beside its head."""
    return f"version {number} " + "of a text that is long enough to travel beside the head of its changeset " * 2


def summary(token: str, value: str, over: Iterable[int] = (), **more: Any) -> Op:
    """Return the op that writes the description of a section."""
    return Op("content.section", token, [Write("description", None, value, list(over), **more)])


def edits(origin: Origin, count: int, token: str = TOKENS[0]) -> list[Changeset]:
    """Return a chain of edits of one description, each over the one before."""
    made = [origin.make(summary(token, long(0)))]
    for number in range(1, count):
        made.append(origin.make(summary(token, long(number), [0]), refs=[made[-1].dot]))
    return made


def tips_here() -> list[exchange.TipAt]:
    """Return the tips of all chains here."""
    master = Party.named(MASTER, Role.MASTER, "")
    return exchange.tips_between(master, master)


def seen_by_master(*lacking: bytes, tips: list[exchange.TipAt] | None = None) -> None:
    """Note that the second master holds everything that is here, but for values of ``lacking``."""
    contacts.saw(MASTER, tips or tips_here(), lacking)


def stripped(changeset: Changeset) -> Changeset:
    """Return a changeset as a compacted, or a hostile, replica sends it."""
    return changeset.with_values({})


def held(changeset: Changeset) -> set[str]:
    """Return the digests of the values of a changeset that are here."""
    return set(log.changesets([changeset.dot])[changeset.dot].values)


def everything() -> tuple[Any, ...]:
    """Return all that compaction must not change."""
    registers = sorted((row[0], *map(repr, row[1:])) for row in Register.objects.values_list())
    heads = sorted((c.raw, c.signature) for _, c in log.scan(state=None))
    return (
        state(),
        registers,
        heads,
        sorted(Claim.objects.values_list("value", "token", "name")),
        tips_here(),
        conflicts.count(),
    )


# --- what is dropped -------------------------------------------------------------------------------------------------------------


def test_superseded_values_that_a_master_holds_are_dropped_and_nothing_else(one, as_edge):
    """Of ten versions the last stays; heads, digest, rows, claims and conflicts are what they were."""
    made = edits(one, 10)
    arrive(*made)
    seen_by_master()
    as_edge()
    before = everything()
    report = compact.compact()
    assert (report.values_dropped, report.masters) == (9, [MASTER])
    assert [bool(held(changeset)) for changeset in made] == [False] * 9 + [True]
    assert everything() == before
    assert list(verify()) == []
    assert compact.compact().values_dropped == 0


def test_what_no_master_was_seen_to_hold_stays(one, as_edge):
    """Nor what lies beyond its tips, nor what it said that it lacks, nor anything of one that did not say what it lacks."""
    made = edits(one, 6)
    arrive(*made[:3])
    tips = tips_here()
    arrive(*made[3:])
    as_edge()
    assert compact.compact().values_dropped == 0
    contacts.saw(MASTER, tips, None)
    assert compact.compact().values_dropped == 0
    contacts.saw("EDGE01-LON", tips_here(), [])
    assert compact.compact().values_dropped == 0
    seen_by_master(made[1].dot, tips=tips)
    assert compact.compact().values_dropped == 2
    assert [bool(held(changeset)) for changeset in made] == [False, True, False, True, True, True]


def test_a_tip_on_one_branch_of_a_fork_proves_nothing_of_the_other(one, as_edge):
    """A copied database wrote on at two places; the master was seen with one of them."""
    made = edits(one, 3)
    copy = Origin(one.name, key=one.key, made=made[:1])
    other = copy.make(summary(TOKENS[1], long(7)), ms=made[1].head.clock[0] + 5)
    after = copy.make(summary(TOKENS[1], long(8), [0]), refs=[other.dot])
    arrive(*made, other, after)
    assert Tip.objects.filter(chain__name=one.name).count() == 2
    as_edge()
    chain = made[-1].head.chain
    contacts.saw(MASTER, [exchange.TipAt(chain, 3, made[-1].dot)], [])
    assert compact.compact().values_dropped == 2
    assert [bool(held(changeset)) for changeset in (*made, other, after)] == [False, False, True, True, True]
    contacts.saw(MASTER, [exchange.TipAt(chain, 9, bytes(16))], [])
    assert acknowledged.by_masters()[MASTER].upto == {}


def test_values_of_open_siblings_stay_until_they_are_resolved(one, as_edge):
    """The base of a merge is at hand as long as somebody may merge."""
    two = Origin("EDGE02-LON").trust_here()
    base = edits(one, 1)[0]
    here = one.make(summary(TOKENS[0], long(1), [0]), refs=[base.dot])
    there = two.make(summary(TOKENS[0], long(2), [0]), refs=[base.dot])
    arrive(base, here, there)
    seen_by_master()
    as_edge()
    assert compact.compact().values_dropped == 0
    arrive(one.make(summary(TOKENS[0], long(3), [0, 1]), refs=[here.dot, there.dot]))
    seen_by_master()
    assert compact.compact().values_dropped == 3


def test_slugs_submissions_quarantined_changesets_and_the_trusted_list_keep_their_values(one, as_edge):
    """A claim is for ever, as is what was made once, what does not count may count tomorrow, and the list is read as a whole."""
    slugs = [f"{'a-very-long-slug-' * 5}{number}-43ax" for number in range(2)]
    first = one.make(Op("content.section", TOKENS[0], [Write("slug", None, slugs[0], [])]))
    second = one.make(Op("content.section", TOKENS[0], [Write("slug", None, slugs[1], [0])]), refs=[first.dot])
    shown = one.make(summary(TOKENS[1], long(0)))
    farm = one.make(summary(TOKENS[1], long(1)), scope="farm:cam")
    form = one.make(Op("content.submission", TOKENS[3], [Write("data", None, {"text": long(1)}, [])]))
    forged = one.make(Op("content.submission", TOKENS[3], [Write("data", None, {"text": long(2)}, [0])]), refs=[form.dot])
    unknown = one.make(Op("later.model", TOKENS[2], [Write("text", None, long(1), [])]))
    newer = one.make(Op("later.model", TOKENS[2], [Write("text", None, long(2), [0])]), refs=[unknown.dot])
    arrive(first, second, shown, farm, form, forged, unknown, newer)
    assert Entry.objects.get(dot=farm.dot).state == Entry.State.QUARANTINED
    seen_by_master()
    as_edge()
    assert compact.compact().values_dropped == 0
    assert all(held(changeset) for changeset in (first, second, farm, form, forged, unknown, newer))
    assert all(changeset.is_complete for _, changeset in log.scan(state=None))


def test_a_master_refuses():
    """It is the one from which all others fetch again what they drop."""
    with pytest.raises(NotAllowedError, match="MASTER01-LON is a master: masters keep every value"):
        compact.compact()
    with pytest.raises((SystemExit, CommandError)):
        call_command("sync_compact", "--json")


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_compaction_changes_no_head_and_no_count_of_conflicts(data):
    """For any history, compacted at any moment: rows, registers, digest, conflicts and claims are as without."""
    from django.test import override_settings

    made = data.draw(histories())
    forget_everything()
    for number in range(3):
        Origin(f"EDGE0{number}-LON", key=KEYS[number]).trust_here()
    Origin(MASTER, Role.MASTER, "", key=KEYS[0]).trust_here()
    cut = data.draw(st.integers(0, len(made)))
    if cut:
        arrive(*made[:cut])
    before = everything()
    seen_by_master()
    from django.conf import settings as current

    with override_settings(SYNC={**current.SYNC, "ROLE": "edge", "FARM": "thames"}):
        compact.compact()
        assert everything() == before
        if made[cut:]:
            arrive(*made[cut:])
        compacted = everything()
    forget_everything()
    for number in range(3):
        Origin(f"EDGE0{number}-LON", key=KEYS[number]).trust_here()
    Origin(MASTER, Role.MASTER, "", key=KEYS[0]).trust_here()
    arrive(*made)
    assert compacted[0] == state() and compacted[-1] == conflicts.count()


# --- packing ---------------------------------------------------------------------------------------------------------------------


def test_many_small_segments_become_few(one, as_edge):
    """A changeset that came alone does not keep a segment of its own for ever; a second run finds nothing to do."""
    for changeset in edits(one, 110):
        receive([framed(changeset)])
    seen_by_master()
    as_edge()
    before = everything()
    assert Segment.objects.count() > 100
    report = compact.compact()
    assert report.segments_after <= 4 and report.bytes_dropped > 109 * 100
    assert everything() == before
    segments = list(Segment.objects.values_list("pk", flat=True))
    compact.compact()
    assert list(Segment.objects.values_list("pk", flat=True)) == segments


def test_small_segments_are_packed_also_where_nothing_is_dropped(one, as_edge):
    """Short values stay in heads; their changesets need no segment each."""
    for number in range(20):
        receive([framed(one.make(summary(TOKENS[0], f"short {number}")))])
    as_edge()
    before = everything()
    report = compact.compact()
    assert (report.values_dropped, report.segments_after) == (0, 1)
    assert everything() == before


def test_a_transaction_of_compaction_is_bounded(one, as_edge, monkeypatch):
    """A log of many changesets is worked off in parts; the result is that of one."""
    monkeypatch.setattr(compact, "CHUNK", 10)
    for changeset in edits(one, 45):
        receive([framed(changeset)])
    seen_by_master()
    as_edge()
    done: list[int] = []
    assert compact.compact(done.append).values_dropped == 44
    assert len(done) >= 4 and done == sorted(done)


class KilledError(BaseException):
    """The process is gone."""


def test_killed_at_any_statement_nothing_is_lost_and_the_next_run_goes_on(one, as_edge, monkeypatch):
    """After each kill, later and later in the work, everything is what it was; in the end everything is dropped."""
    monkeypatch.setattr(compact, "CHUNK", 10)
    made = edits(one, 35)
    for changeset in made:
        receive([framed(changeset)])
    seen_by_master()
    as_edge()
    before = everything()

    def run(left: int) -> bool:
        def count(execute, sql, params, many, context):
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(count):
                compact.compact()
        except KilledError:
            return False
        return True

    kills = 0
    while not run(4 * kills + 1):
        kills += 1
        assert everything() == before
    assert kills >= 10 and [bool(held(changeset)) for changeset in made] == [False] * 34 + [True]
    assert everything() == before and list(verify()) == []


def test_a_stream_that_is_open_meanwhile_brings_everything(one, as_edge):
    """A pull that has looked up where changesets stand finds them although they are packed elsewhere by then."""
    made = edits(one, 30)
    for changeset in made:
        receive([framed(changeset)])
    seen_by_master()
    as_edge()
    entries = list(exchange.missing([], Party(Role.MASTER), Party(Role.EDGE, "thames")))
    assert compact.compact().values_dropped == 29
    sent = [frame for frame, _ in exchange.frames(entries)]
    dots = [c.dot for raw in sent for c in log.wire.parse(raw, log.wire.unpack(raw)).changesets]
    assert set(dots) == {entry.dot for entry in entries} and len(dots) == len(entries)


def test_space_is_given_back(one, as_edge):
    """The database is smaller afterwards, where it can give pages back one by one."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL uses free pages again by itself")
    noise = random.Random(1)
    made = [one.make(summary(TOKENS[0], noise.randbytes(20_000).hex()))]
    for _ in range(60):
        made.append(one.make(summary(TOKENS[0], noise.randbytes(20_000).hex(), [0]), refs=[made[-1].dot]))
    arrive(*made)
    seen_by_master()
    as_edge()
    report = compact.compact()
    assert report.bytes_before - report.bytes_after > 1_000_000
    assert report.bytes_after == space.used()


# --- values that come later ------------------------------------------------------------------------------------------------------


def test_what_a_compacted_replica_sends_gives_the_same_state_and_nothing_is_wanted(one, as_edge):
    """A new edge that starts from a compacted one holds the same digest and rows, and asks for nothing."""
    made = edits(one, 8)
    arrive(*made)
    seen_by_master()
    as_edge()
    compact.compact()
    wanted = state()
    lean = [changeset for _, changeset in log.scan(state=None) if changeset.head.scope == "all"]
    forget_everything()
    Local.objects.all().delete()
    _as_master_entering(one)
    receive([framed(changeset) for changeset in lean])
    assert state() == wanted
    assert missing.count() == 0


def _as_master_entering(*origins: Origin) -> None:
    from django.conf import settings as current
    from django.test import override_settings

    with override_settings(SYNC={**current.SYNC, "ROLE": "master", "FARM": ""}):
        Origin(MASTER, Role.MASTER, "").trust_here()
        for origin in origins:
            origin.trust_here()


def test_a_head_without_its_value_is_not_counted_as_held(one, as_edge):
    """The row waits, its value is asked for by digest, a wrong one is not taken, the right one is shown; the head stays as it is."""
    (made,) = edits(one, 1)
    as_edge()
    arrive(stripped(made))
    before = registers.digest()
    (digest,) = made.values
    assert missing.all_pairs() == [(made.dot, digest)]
    assert (status.status()["deferred"], status.status()["values_missing"]) == (1, 1)
    assert refill.take([b'"something else"']) == 0
    assert not Section.objects.exists()
    assert refill.take(made.values.values()) == 1
    assert Section.objects.get().description == long(0)
    assert (missing.count(), registers.digest(), held(made)) == (0, before, {digest})
    assert list(verify()) == []


def test_a_value_that_has_several_places_fills_all_of_them(one, as_edge):
    """Two changesets wrote the same text: it comes once."""
    first = one.make(summary(TOKENS[0], long(1)))
    second = one.make(summary(TOKENS[1], long(1)))
    as_edge()
    arrive(stripped(first), stripped(second))
    assert missing.count() == 2
    assert refill.take(first.values.values()) == 1
    assert dict(Section.objects.values_list("token", "description")) == {TOKENS[0]: long(1), TOKENS[1]: long(1)}


def test_what_was_overwritten_before_its_value_came_is_wanted_no_more(one, as_edge):
    """A stream in parts: what was a head at the end of one is none at the end of the stream."""
    made = edits(one, 3)
    as_edge()
    arrive(stripped(made[0]))
    assert missing.count() == 1
    arrive(stripped(made[1]), made[2])
    assert missing.count() == 0
    assert Section.objects.get().description == long(2)


def test_a_master_wants_every_value_since_others_drop_what_it_holds(one):
    """Also those that nobody sees: or the last copy could be dropped on its word."""
    made = edits(one, 3)
    arrive(*map(stripped, made))
    assert {dot for dot, _ in missing.all_pairs()} == {changeset.dot for changeset in made}
    refill.take(text for changeset in made for text in changeset.values.values())
    assert missing.count() == 0 and all(held(changeset) for changeset in made)


def test_a_replica_that_becomes_a_master_wants_what_it_had_dropped(one, as_edge, settings):
    """Before others take its word for anything."""
    made = edits(one, 4)
    arrive(*made)
    seen_by_master()
    as_edge()
    assert compact.compact().values_dropped == 3
    assert missing.count() == 0
    settings.SYNC = {**settings.SYNC, "ROLE": "master", "FARM": ""}
    assert missing.count() == 3


def test_a_slug_that_came_without_its_value_is_claimed_when_it_comes(one, as_edge):
    """Also where it was overwritten already: an address that was given out leads somewhere for ever."""
    slugs = [f"{'a-very-long-slug-' * 5}{number}-43ax" for number in range(2)]
    first = one.make(Op("content.section", TOKENS[0], [Write("slug", None, slugs[0], [])]))
    second = one.make(Op("content.section", TOKENS[0], [Write("slug", None, slugs[1], [0])]), refs=[first.dot])
    as_edge()
    arrive(stripped(first), second)
    assert claims.owner("content.section", slugs[0]) is None
    assert missing.count() == 1
    refill.take(first.values.values())
    assert claims.owner("content.section", slugs[0]) == TOKENS[0]


def test_one_exchange_asks_for_a_bounded_number_of_values_and_every_one_in_turn(one):
    """What nobody has keeps nothing else from being asked for."""
    made = [one.make(summary(TOKENS[0], long(number))) for number in range(5)]
    arrive(*map(stripped, made))
    assert sorted(missing.some_pairs()) == sorted(missing.all_pairs())
    asked = [missing.some_pairs(2) for _ in range(60)]
    assert {len(pairs) for pairs in asked} == {2}
    assert {pair for pairs in asked for pair in pairs} == set(missing.all_pairs())


def test_a_peer_of_an_older_release_hands_out_no_values_and_is_no_trouble(one):
    """It has no such address; the value is asked of the next peer."""
    (made,) = edits(one, 1)
    arrive(stripped(made))
    server = ThreadingHTTPServer(("127.0.0.1", 0), OldRelease)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        value_exchange.fetch(Peer(MASTER, f"http://127.0.0.1:{server.server_port}"), missing.some_pairs())
    finally:
        server.shutdown()
        server.server_close()
    assert missing.count() == 1


def test_values_are_handed_out_only_to_those_who_may_hold_their_changesets(one):
    """A digest that somebody knows is no key to another farm."""
    mine = one.make(Op("content.submission", TOKENS[0], [Write("form", None, long(1), [])]), scope="farm:thames")
    arrive(mine)
    pair = [(mine.dot, next(iter(mine.values)))]
    assert list(missing.texts(pair, Party(Role.MASTER), Party(Role.EDGE, "thames"))) == list(mine.values.values())
    assert list(missing.texts(pair, Party(Role.MASTER), Party(Role.EDGE, "cam"))) == []


def test_what_a_peer_lacks_is_not_safe_there(one):
    """A changeset whose value no peer has is only here, whatever their tips say."""
    (made,) = edits(one, 1)
    arrive(made)
    seen_by_master()
    assert status.status()["only_here"] == 0
    seen_by_master(made.dot)
    assert status.status()["only_here"] == 1
    contacts.saw("EDGE01-LON", tips_here(), [])
    assert status.status()["only_here"] == 0


# --- merges after compaction -----------------------------------------------------------------------------------------------------


def test_a_save_of_what_was_loaded_before_compaction_overwrites_just_that(one, as_edge):
    """An instance on v1, saved after v2 and v3 were made and v1 was dropped, names v1 in its ``over``, as everywhere else."""
    made = edits(one, 1)
    arrive(*made)
    loaded = Section.objects.get(pk=TOKENS[0])
    for number in (1, 2):
        made.append(one.make(summary(TOKENS[0], long(number), [0]), refs=[made[-1].dot]))
    arrive(*made)
    seen_by_master()
    as_edge()
    assert compact.compact().values_dropped == 2
    loaded.description = "mine"
    loaded.save()
    own = next(c for _, c in log.scan() if c.head.name == "MASTER01-LON" and c.head.scope == "all")
    assert own.refs() == [made[0].dot]
    assert (conflicts.count(), missing.count()) == (0, 1), "whether the two contradict each other is known when v1 is here"


def test_a_form_on_v1_saved_after_v2_and_v3_were_dropped_merges_as_everywhere(one, as_edge):
    """The base is asked for before anybody calls it a conflict: with it, the texts merge as on a replica that dropped nothing."""
    two = Origin("EDGE02-LON").trust_here()
    paragraphs = [
        f"{word} paragraph of a text that is long enough to travel beside its head" for word in ("First", "Second", "Third")
    ]
    texts = ["\n\n".join(paragraphs)]
    made = [one.make(summary(TOKENS[0], texts[0]))]
    for word in ("second", "third"):
        texts.append(texts[-1].replace(f"{word.capitalize()} paragraph", f"Another {word} paragraph"))
        made.append(one.make(summary(TOKENS[0], texts[-1], [0]), refs=[made[-1].dot]))
    arrive(*made)
    seen_by_master()
    as_edge()
    assert compact.compact().values_dropped == 2
    late = two.make(summary(TOKENS[0], texts[0].replace("First paragraph", "Another first paragraph"), [0]), refs=[made[0].dot])
    arrive(late)
    assert missing.all_pairs() == [(made[0].dot, next(iter(made[0].values)))]
    assert (Section.objects.get().description, status.status()["deferred"]) == (texts[2], 1)
    refill.take(made[0].values.values())
    merged = texts[2].replace("First paragraph", "Another first paragraph")
    assert (Section.objects.get().description, conflicts.count(), missing.count()) == (merged, 0, 0)
    compacted = registers.digest()
    forget_everything()
    _as_master_entering(one, two)
    arrive(*made, late)
    assert (Section.objects.get().description, registers.digest()) == (merged, compacted)


# --- history ---------------------------------------------------------------------------------------------------------------------


def test_history_tells_every_write_and_fetches_what_was_dropped(one, as_edge):
    """By order, with who and when; what is not here is asked for, and told as dropped where nobody has it."""
    made = edits(one, 3)
    arrive(*made)
    seen_by_master()
    as_edge()
    compact.compact()
    key = registers.RowKey("content.section", TOKENS[0])
    found = history.history(key, "description", fetch=lambda pairs: None)
    assert [(write.value, write.is_dropped) for write in found] == [(None, True), (None, True), (long(2), False)]
    assert [write.dot for write in found] == [changeset.dot for changeset in made]
    assert {(write.origin, write.author) for write in found} == {("EDGE01-LON", "ada")}
    assert found[0].time.timestamp() * 1000 == pytest.approx(made[0].head.clock[0])

    def fetch(pairs: list[missing.Pair]) -> None:
        with transaction.atomic():
            missing.note(pairs)
        refill.take(text for changeset in made for text in changeset.values.values())

    assert [write.value for write in history.history(key, "description", fetch=fetch)] == [long(0), long(1), long(2)]

"""Receiving: a function of the set of changesets, whatever their order, repetition and partition; nothing that is wrong gets in."""

import hashlib
from dataclasses import replace
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Asset, Block, Page, Section
from sync import claims, conf, keys, local, log, rebuild, registers, registry, status, trust_admin
from sync.core import signing
from sync.core.changeset import Changeset, Op, Write
from sync.core.errors import NotAllowedError
from sync.core.policy import Role
from sync.models import Claim, Entry, MissingBlob, Register, Segment, Tip
from sync.receive import receive
from sync.registers import RowKey
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, framed, rows, state, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 5)]


@pytest.fixture
def one():
    """An edge that is trusted here."""
    return Origin("EDGE01-LON").trust_here()


@pytest.fixture
def two():
    """Another edge that is trusted here."""
    return Origin("EDGE02-LON").trust_here()


def shown(token=TOKENS[0]):
    """Return the title that a section shows; None where it is not there."""
    return Section.objects.filter(pk=token).values_list("title", flat=True).first()


# --- the law ---------------------------------------------------------------------------------------------------------------------


def _op(draw: st.DrawFn, token: str, over: list[int]) -> Op:
    kind = draw(st.sampled_from(["title", "tag", "data", "delete", "move"]))
    if kind == "title":
        return Op("content.section", token, [Write("title", None, draw(st.sampled_from(["A", "B", "C" * 80])), over)])
    if kind == "tag":
        return Op("content.page", token, [Write("tags", draw(st.sampled_from("xy")), draw(st.booleans()), over)])
    if kind == "delete":
        return Op(draw(st.sampled_from(["content.section", "content.page"])), token, [], over)
    value = draw(st.sampled_from(["<p>one</p>", "<p>two</p>"])) if kind == "data" else draw(st.sampled_from(TOKENS))
    write = Write("data", "html", value, over) if kind == "data" else Write("parent_id", None, value, over)
    return Op("content.block", token, [write])


@st.composite
def histories(draw: st.DrawFn) -> list[Changeset]:
    """What three replicas made, each having seen a random part of what was made before."""
    origins = [Origin(f"EDGE0{n}-LON", key=KEYS[n]) for n in range(3)]
    made: list[Changeset] = []
    for number in range(draw(st.integers(2, 10))):
        origin = draw(st.sampled_from(origins))
        seen = draw(st.lists(st.sampled_from(made), unique_by=lambda c: c.dot, max_size=3)) if made else []
        refs = [changeset.dot for changeset in seen]
        token = draw(st.sampled_from(TOKENS))
        made.append(origin.make(_op(draw, token, list(range(len(refs)))), refs=refs, ms=1_700_000_000_000 + number))
    return made


KEYS = [Ed25519PrivateKey.generate() for _ in range(3)]


def _interleaved(data: st.DataObject, made: list[Changeset]) -> list[Changeset]:
    """Return ``made`` in another order, each origin's chain kept in its own, some of it twice."""
    queues = [[c for c in made if c.head.name == f"EDGE0{n}-LON"] for n in range(3)]
    order = []
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        order.append(queue.pop(0))
        if data.draw(st.booleans()):
            order.append(data.draw(st.sampled_from(order)))
    return order


def _replay(order: list[Changeset], ends: set[int]) -> tuple[object, ...]:
    forget_everything()
    for number in range(3):
        Origin(f"EDGE0{number}-LON", key=KEYS[number]).trust_here()
    frames, batch = [], []
    for number, changeset in enumerate(order):
        batch.append(changeset)
        if number in ends:
            frames.append(framed(*batch))
            batch = []
    if batch:
        frames.append(framed(*batch))
    for frame in frames:
        receive([frame])
    return (*state(), sorted(Register.objects.values_list("key", "alive", "siblings", "projected")), Claim.objects.count())


@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_order_repetition_and_partition_gives_equal_state(data):
    """Digest, rows, aliveness and siblings are those of the changesets held, and those of a rebuild from the log."""
    made = data.draw(histories())
    straight = _replay(made, set())
    order = _interleaved(data, made)
    ends = data.draw(st.sets(st.integers(0, len(order))))
    for found, wanted in zip(_replay(order, ends), straight, strict=True):
        assert found == wanted, "\n".join(changeset.raw.decode() for changeset in order)
    assert_rows_follow_from_log()


# --- what is taken ---------------------------------------------------------------------------------------------------------------


def test_receiving_twice_changes_nothing(one):
    """The second time is a no-op, not an error."""
    made = one.make(title(TOKENS[0], "Hello"))
    first, before = arrive(made), (rows(), Entry.objects.count(), Segment.objects.count())
    again = arrive(made)
    assert (first.applied, again.received, again.applied, again.refused) == (1, 1, 0, {})
    assert (rows(), Entry.objects.count(), Segment.objects.count()) == before


def test_a_frame_of_which_everything_is_new_is_kept_as_it_came(one):
    """What is passed on is what was signed, byte for byte, without packing it again."""
    frame = framed(one.make(title(TOKENS[0], "Hello")), one.make(title(TOKENS[1], "World")))
    receive([frame])
    assert bytes(Segment.objects.latest("pk").frame) == frame.raw


def test_siblings_show_the_same_value_everywhere_and_keep_the_other(one, two):
    """The greatest clock is shown; both heads stay; status counts a conflict."""
    arrive(one.make(title(TOKENS[0], "Early"), ms=1000), two.make(title(TOKENS[0], "Late"), ms=2000))
    assert shown() == "Late"
    assert status.status()["conflicts"] == 1
    assert Register.objects.get(siblings=True).token == TOKENS[0]


def test_a_write_that_saw_both_siblings_ends_the_conflict(one, two):
    """Resolving is an ordinary write."""
    a, b = one.make(title(TOKENS[0], "A")), two.make(title(TOKENS[0], "B"))
    arrive(a, b, one.make(title(TOKENS[0], "Both", over=(0, 1)), refs=[a.dot, b.dot]))
    assert shown() == "Both"
    assert status.status()["conflicts"] == 0


def test_equal_values_of_two_authors_are_no_conflict(one, two):
    """Both heads say the same."""
    arrive(one.make(title(TOKENS[0], "Same")), two.make(title(TOKENS[0], "Same")))
    assert status.status()["conflicts"] == 0


def test_an_edit_that_a_deletion_had_not_seen_keeps_the_row(one, two):
    """And a deletion that had seen everything removes it."""
    a = one.make(title(TOKENS[0], "A"))
    arrive(a, two.make(Op("content.section", TOKENS[0], [], [0]), refs=[a.dot]))
    assert shown() is None
    arrive(one.make(Op("content.section", TOKENS[0], [Write("description", None, "unseen", [])])))
    assert shown() == "A"


def test_a_block_that_a_deletion_of_its_page_had_not_seen_keeps_the_page(one, two):
    """What was acknowledged is not made invisible by somebody who did not know of it."""
    page = one.make(
        title(TOKENS[0], "Page", model="content.page"),
        Op("content.page", TOKENS[0], [Write("section_id", None, TOKENS[3], [])]),
    )
    arrive(page, two.make(Op("content.page", TOKENS[0], [], [0]), refs=[page.dot]))
    assert not Page.objects.exists()
    block = Op(
        "content.block",
        TOKENS[1],
        [Write("parent_id", None, TOKENS[0], []), Write("ordering", None, "a", []), Write("type", None, "code", [])],
    )
    added = one.make(block)
    arrive(added)
    assert Page.objects.get().title == "Page"
    arrive(two.make(Op("content.block", TOKENS[1], [], [0]), refs=[added.dot]))
    assert not Page.objects.exists()
    assert not Block.objects.exists()


def test_an_unknown_model_is_kept_and_counted_and_blocks_nothing(one):
    """As from a newer release: stored, passed on, shown after the upgrade."""
    arrive(one.make(title(TOKENS[0], "x", model="future.thing")), one.make(title(TOKENS[1], "Known")))
    assert shown(TOKENS[1]) == "Known"
    assert status.status()["deferred"] == 1


@pytest.mark.parametrize("value", ["x" * 201, "nul\x00", None])
def test_a_value_that_cannot_be_shown_is_deferred_and_stops_nothing(one, value):
    """Too long, not text, empty where that is not allowed: the register has it, the row shows what fits, and is counted."""
    arrive(one.make(title(TOKENS[0], value)), one.make(title(TOKENS[1], "Fine")))
    assert (shown(TOKENS[0]), shown(TOKENS[1])) == ("", "Fine")
    assert status.status()["deferred"] == 1
    assert_rows_follow_from_log()


@pytest.mark.parametrize("field", ["title", "ordering"])
def test_one_value_that_no_column_takes_hides_no_row_whatever_stood_there_before(one, two, field):
    """Beside an honest head that one is shown, over it what is empty; alike whether the row was here or came with it."""
    honest, bad, empty = {"title": ("Honest", "x" * 3000, ""), "ordering": (7, 1 << 40, 0)}[field]
    first = one.make(
        Op(
            "content.section",
            TOKENS[0],
            [Write("title", None, "Known", []), Write(field, None, honest, [])][field == "title" :],
        )
    )
    beside = two.make(Op("content.section", TOKENS[0], [Write(field, None, bad, [])]))
    over = two.make(Op("content.section", TOKENS[0], [Write(field, None, bad, [0, 1])]), refs=[first.dot, beside.dot])
    seen = []
    for steps in ([[first], [beside], [over]], [[first, beside], [over]], [[beside], [first], [over]]):
        forget_everything()
        one.trust_here(), two.trust_here()
        for step in steps[:-1]:
            arrive(*step)
        seen.append((state(), Section.objects.values_list(field, flat=True).get()))
        arrive(*steps[-1])
        seen.append((state(), Section.objects.values_list(field, flat=True).get()))
    assert [value for _, value in seen] == [honest, empty] * 3
    assert len({repr(found) for found in seen[::2]}) == len({repr(found) for found in seen[1::2]}) == 1


def test_a_row_names_a_blob_that_is_noted_as_missing(one):
    """The file is fetched afterwards."""
    fields = {"title": "x", "filename": "x.png", "digest": "ab" * 32, "size": 1, "content_type": "image/png"}
    stamp = Write("created", None, "2026-11-22T00:00:00+00:00", [])
    arrive(one.make(Op("content.asset", TOKENS[0], [*(Write(k, None, v, []) for k, v in fields.items()), stamp])))
    assert Asset.objects.get().filename == "x.png"
    assert list(MissingBlob.objects.values_list("digest", flat=True)) == ["ab" * 32]


def test_a_former_slug_belongs_to_its_row_for_ever(one, two):
    """The first claim owns, by clock; a later one moves nobody."""
    first = one.make(Op("content.section", TOKENS[0], [Write("slug", None, "news-43ax", [])]), ms=1000)
    renamed = one.make(Op("content.section", TOKENS[0], [Write("slug", None, "olds-43ax", [0])]), refs=[first.dot], ms=3000)
    arrive(two.make(Op("content.section", TOKENS[1], [Write("slug", None, "news-43ax", [])]), ms=2000), first, renamed)
    assert claims.owner("content.section", "news-43ax") == TOKENS[0]
    assert claims.owner("content.section", "olds-43ax") == TOKENS[0]
    assert claims.owner("content.section", "never-43ax") is None


# --- what is refused -------------------------------------------------------------------------------------------------------------


def refused(*changesets):
    """Receive, find that nothing was stored, and return the codes."""
    before = (state(), Entry.objects.count(), Segment.objects.count(), Tip.objects.count())
    receipt = arrive(*changesets)
    assert (state(), Entry.objects.count(), Segment.objects.count(), Tip.objects.count()) == before
    return receipt.refused


def test_an_unknown_name_is_refused():
    """A changeset of nobody on the list is not stored and moves nothing."""
    assert refused(Origin("EDGE09-LON").make(title(TOKENS[0], "x"))) == {"origin_unknown": 1}


def test_a_forged_signature_is_refused(one):
    """Signed with another key, under a trusted name."""
    forger = Origin(one.name)
    assert refused(forger.make(title(TOKENS[0], "x"))) == {"bad_signature": 1}


def test_a_changeset_that_a_relay_altered_is_refused(one):
    """The signature is over the bytes as they are."""
    made = one.make(title(TOKENS[0], "Hello"))
    raw = made.raw.replace(b"Hello", b"Jello")
    altered = Changeset(raw, made.signature, made.head, hashlib.sha256(raw).digest(), {})
    assert refused(altered) == {"bad_signature": 1}


def test_a_gap_is_refused_and_filled_later(one):
    """What the previous one is missing for is not stored; it comes again with it."""
    first, second = one.make(title(TOKENS[0], "A")), one.make(title(TOKENS[1], "B"))
    assert refused(second) == {"previous_missing": 1}
    assert arrive(first, second).applied == 2


def test_a_good_prefix_of_a_chain_with_a_bad_end_is_kept(one):
    """The last good signature vouches for those before it; other chains go on."""
    good = [one.make(title(token, "good")) for token in TOKENS[:2]]
    liar = Origin(one.name, made=list(one.made))
    receipt = arrive(
        *good, liar.make(title(TOKENS[2], "bad")), Origin("EDGE02-LON").trust_here().make(title(TOKENS[3], "other"))
    )
    assert (receipt.applied, receipt.refused) == (3, {"bad_signature": 1})


def test_a_clock_that_does_not_grow_is_refused(one):
    """Within a chain, later is later."""
    first = one.make(title(TOKENS[0], "A"), ms=5000)
    one.made[-1] = first
    second = one.make(title(TOKENS[1], "B"))
    stale = Origin(one.name, key=one.key, made=[first])
    value = second.head
    from msgspec.structs import replace

    from tests.sync.origins import sealed

    arrive(first)
    assert refused(sealed(replace(value, clock=(4000, 0)), one.key)) == {"clock_not_growing": 1}
    assert stale.made == [first]


def test_another_farms_submissions_are_not_held_here(settings):
    """An edge holds what is everybody's and its own farm's."""
    root = Origin("MASTER09-PAR", Role.MASTER, "")
    settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "seine"}
    trust_admin.trust(root.name, Role.MASTER, "", "http://m", root.public)
    assert refused(root.make(Op("content.submission", TOKENS[0], [Write("form", None, "x", [])]), scope="farm:thames")) == {
        "scope_not_entitled": 1
    }


# --- what is held and what is quarantined ----------------------------------------------------------------------------------------


def test_a_clock_in_the_year_2099_is_held(one, two):
    """It is stored and does not count, nor does what stands behind it; others go on."""
    future = 4_070_908_800_000
    receipt = arrive(
        one.make(title(TOKENS[0], "2099"), ms=future), one.make(title(TOKENS[1], "behind")), two.make(title(TOKENS[0], "now"))
    )
    assert (receipt.held, receipt.applied) == (2, 1)
    assert shown() == "now"
    assert local.state().clock_ms < future


def test_what_was_held_counts_when_the_wall_clock_has_caught_up(one, monkeypatch):
    """The next batch or sweep releases it, in its order."""
    ahead = local.wall_ms() + 3_600_000
    arrive(one.make(title(TOKENS[0], "Soon"), ms=ahead))
    assert shown() is None
    monkeypatch.setattr(local, "wall_ms", lambda: ahead)
    arrive(one.make(title(TOKENS[1], "Next"), ms=ahead + 1))
    assert (shown(), shown(TOKENS[1])) == ("Soon", "Next")
    assert_rows_follow_from_log()


def test_an_edge_that_writes_the_trusted_list_is_quarantined(one):
    """Stored, passed on, listed, not counted."""
    friend = Origin("EDGE09-LON")
    entry = {"closed": {}, "open": {"role": "master", "farm": "", "url": "", "key": friend.public}}
    made = one.make(Op("sync.trust", friend.name, [Write("entry", None, entry, [])]), scope="trust")
    assert arrive(made).quarantined == 1
    assert refused(friend.make(title(TOKENS[0], "x"))) == {"origin_unknown": 1}
    assert status.status()["quarantined"] == 1


@pytest.mark.parametrize("late", [False, True])
def test_revoking_from_a_number_quarantines_what_came_later_in_whatever_order(one, two, late):
    """What stood under it shows again; whether it arrives before or after the revocation makes no difference."""
    first = one.make(title(TOKENS[0], "Good"))
    rogue = one.make(title(TOKENS[0], "Bad", over=(0,)), refs=[first.dot])
    arrive(first)
    if not late:
        arrive(rogue)
        assert shown() == "Bad"
    trust_admin.revoke(one.name, 2)
    if late:
        assert arrive(rogue).quarantined == 1
    assert shown() == "Good"
    assert status.status()["quarantined"] == 1
    assert_rows_follow_from_log()


def test_a_forgery_with_a_stolen_key_and_an_old_date_does_not_count_after_revocation(one):
    """A new branch below the cut, and a new incarnation, are no way around it."""
    arrive(one.make(title(TOKENS[0], "Good"), ms=2000))
    trust_admin.revoke(one.name)
    thief = Origin(one.name, key=one.key)
    branch = thief.make(title(TOKENS[1], "Backdated"), ms=1000)
    elsewhere = Origin(one.name, key=one.key, incarnation="00000000000000bb").make(title(TOKENS[2], "Elsewhere"), ms=1000)
    assert arrive(branch).quarantined == 1
    assert refused(elsewhere) == {"origin_unknown": 1}
    assert [shown(token) for token in TOKENS[:3]] == ["Good", None, None]


def test_what_a_revoked_replica_made_before_goes_on_to_count(one):
    """Its pages are still pages."""
    arrive(one.make(title(TOKENS[0], "Good")))
    trust_admin.revoke(one.name)
    assert shown() == "Good"
    assert registers.digest()


def test_a_replica_that_is_trusted_again_under_a_new_key_goes_on(one):
    """Its old key writes no more; its old pages stay."""
    arrive(one.make(title(TOKENS[0], "Old")))
    new = Origin(one.name, incarnation="00000000000000cc")
    trust_admin.trust(new.name, new.role, new.farm, "http://x", new.public)
    arrive(new.make(title(TOKENS[1], "New")))
    assert (shown(), shown(TOKENS[1])) == ("Old", "New")
    assert arrive(one.make(title(TOKENS[2], "Old key"))).quarantined == 1
    assert signing.parse_key(one.public)


def test_a_replica_whose_incarnation_the_list_has_closed_goes_on_under_a_new_one(settings):
    """Revoked and trusted again: what it writes from then on counts."""
    root = Origin("MASTER09-PAR", Role.MASTER, "")
    settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "thames"}
    trust_admin.pin(root.name, "http://m", root.public)
    before = local.state().incarnation
    mine = {"role": "edge", "farm": "thames", "url": "", "key": keys.public_text()}
    closed = {before: {"role": "edge", "farm": "thames", "key": mine["key"], "tips": []}}
    entry = {"closed": closed, "open": mine}
    arrive(root.make(Op("sync.trust", conf.name(), [Write("entry", None, entry, [])]), scope="trust"))
    assert local.state().incarnation != before
    Section.objects.create(title="Back")
    assert Section.objects.get().title == "Back"
    assert_rows_follow_from_log()


def test_a_field_of_a_newer_release_is_kept_and_shown_after_the_upgrade(one, monkeypatch):
    """The row shows what is known here and is counted as deferred; the upgrade shows the rest, claims included."""
    known = registry.spec(Section)
    older = replace(known, fields={name: field for name, field in known.fields.items() if name != "slug"})
    monkeypatch.setattr(registry, "_build", lambda model: older if model is Section else known)
    arrive(one.make(Op("content.section", TOKENS[0], [Write("title", None, "New", []), Write("slug", None, "new-43ax", [])])))
    assert (Section.objects.get().title, Section.objects.get().slug) == ("New", "")
    assert status.status()["deferred"] == 1
    monkeypatch.undo()
    with transaction.atomic():
        assert [reason for _, reason in rebuild.retry_rows()] == [""]
    assert Section.objects.get().slug == "new-43ax"
    assert claims.owner("content.section", "new-43ax") == TOKENS[0]
    assert status.status()["deferred"] == 0


@pytest.mark.parametrize("value", [2**63, "many", [1]])
def test_a_number_that_no_column_holds_stops_nothing(one, value):
    """What stands behind it is applied."""
    arrive(
        one.make(Op("content.section", TOKENS[0], [Write("title", None, "x", []), Write("ordering", None, value, [])])),
        one.make(title(TOKENS[1], "Fine")),
    )
    assert shown(TOKENS[1]) == "Fine"
    assert status.status()["deferred"] == 1


def test_two_texts_that_are_no_tokens_are_two_rows(one):
    """Also where they differ in a character that a token has in a fixed place."""
    arrive(one.make(title("AAx123456789012", "A"), title("AAy123456789012", "B")))
    assert sorted(Section.objects.values_list("title", flat=True)) == ["A", "B"]


def test_a_junior_master_is_told_that_it_cannot_revoke_a_senior(settings):
    """The command says no, and nothing is written."""
    root = Origin("MASTER09-PAR", Role.MASTER, "")
    trust_admin.pin(root.name, "http://m", root.public)
    mine = {"closed": {}, "open": {"role": "master", "farm": "", "url": "", "key": keys.public_text()}}
    arrive(root.make(Op("sync.trust", conf.name(), [Write("entry", None, mine, [])]), scope="trust"))
    before = Entry.objects.count()
    with pytest.raises(NotAllowedError, match="stands before"):
        trust_admin.revoke(root.name)
    assert Entry.objects.count() == before


@pytest.mark.parametrize("late", [False, True])
def test_a_revocation_that_arrives_is_carried_out_here(settings, late):
    """The list comes from the root by exchange: what a rogue had written under it no longer counts, nor what comes after."""
    root, rogue = Origin("MASTER09-PAR", Role.MASTER, ""), Origin("EDGE08-LON")
    settings.SYNC = {**settings.SYNC, "ROLE": "edge", "FARM": "thames"}
    trust_admin.pin(root.name, "http://m", root.public)
    listed = {"role": "edge", "farm": "thames", "url": "", "key": rogue.public}
    entered = root.make(Op("sync.trust", rogue.name, [Write("entry", None, {"closed": {}, "open": listed}, [])]), scope="trust")
    good = rogue.make(title(TOKENS[0], "Good"))
    bad = rogue.make(title(TOKENS[0], "Bad", over=(0,)), refs=[good.dot])
    cut = {rogue.incarnation: {"role": "edge", "farm": "thames", "key": rogue.public, "tips": [good.dot.hex()]}}
    revoked = root.make(
        Op("sync.trust", rogue.name, [Write("entry", None, {"closed": cut, "open": None}, [0])]),
        refs=[entered.dot],
        scope="trust",
    )
    arrive(entered, good)
    for changeset in (revoked, bad) if late else (bad, revoked):
        arrive(changeset)
    assert shown() == "Good"
    assert status.status()["quarantined"] == 1
    assert_rows_follow_from_log()


def test_what_is_written_here_after_something_was_received_is_later(one):
    """The clock of what was applied is taken over, so that an edit wins over what its author has seen."""
    ahead = local.wall_ms() + 60_000
    arrive(one.make(title(TOKENS[0], "Theirs"), ms=ahead))
    section = Section.objects.get()
    section.title = "Ours"
    section.save()
    [*_, (_, mine)] = log.scan()
    assert mine.head.stamp > (ahead, 0)
    assert shown() == "Ours"


def test_a_field_that_only_a_revoked_replica_wrote_is_empty_again(one):
    """Nothing that counts says anything of it."""
    first = one.make(title(TOKENS[0], "Good"))
    arrive(first, one.make(Op("content.section", TOKENS[0], [Write("description", None, "Bad", [])])))
    assert Section.objects.get().description == "Bad"
    trust_admin.revoke(one.name, 2)
    assert Section.objects.get().description == ""


def test_what_two_overwrote_at_once_leaves_one_state_in_every_order():
    """Whether the overwritten write comes before, between or after those that name it."""
    origins = [Origin(f"EDGE0{number}-LON", key=KEYS[number]) for number in range(3)]
    base = origins[0].make(title(TOKENS[0], "Base"), ms=1000)
    over = [origin.make(title(TOKENS[0], origin.name, over=(0,)), refs=[base.dot], ms=2000) for origin in origins[1:]]
    states = {str(_replay(list(order), {0, 1, 2})) for order in permutations([base, *over])}
    assert len(states) == 1


def test_a_deleted_row_that_is_derived_anew_waits_for_nothing(one):
    """Reading the log again, as a change of the trusted list does, counts no row as deferred that is rightly not there."""
    born = one.make(title(TOKENS[0], "Tide"))
    arrive(born, one.make(Op("content.section", TOKENS[0], [], [0]), refs=[born.dot]))
    rebuild.rebuild({RowKey("content.section", TOKENS[0])})
    assert not Section.objects.exists()
    assert status.status()["deferred"] == 0

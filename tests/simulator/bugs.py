"""Mistakes that one could make, to be planted one at a time: the simulator must find each, or a test by name does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import transaction

from sync import (
    admission,
    claims,
    commit,
    difference,
    ends,
    exchange,
    incarnation,
    isolation,
    local,
    log,
    merging,
    missing,
    pending,
    project,
    rebuild,
    receive,
    registers,
    replay,
    stream,
    trust_admin,
    trusting,
    values,
)
from sync.core import clock, policy, register, trust
from sync.core.changeset import Changeset
from sync.core.clock import Timestamp
from sync.core.policy import TRUST
from sync.db import sql
from sync.models import Chain, Entry, Register
from sync.receive import _Inbox
from sync.registry import spec_of
from sync.sight import Sight

Patches = list[tuple[Any, str, Any]]  # target, attribute, what stands there instead


@dataclass(frozen=True)
class Bug:
    """A mistake: its name, a sentence, the test that fails with it ("" where none is named), and how it is planted."""

    name: str
    sentence: str
    test: str
    patches: Callable[[], Patches]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Let the program have this mistake within."""
        with ExitStack() as stack:
            for target, attribute, value in self.patches():
                stack.enter_context(patch.object(target, attribute, value))
            yield


BUGS: dict[str, Bug] = {}


def bug(sentence: str, test: str = "") -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    """Enter a function that returns patches into the list."""

    def enter(make: Callable[[], Patches]) -> Callable[[], Patches]:
        BUGS[make.__name__] = Bug(make.__name__, sentence, test, make)
        return make

    return enter


# --- accepting


@bug("The signature of a changeset is not looked at.", "tests/sync/test_receive.py::test_a_forged_signature_is_refused")
def skip_the_signature() -> Patches:
    return [(receive.signing, "is_signed_by", lambda key, id, signature: True)]


@bug(
    "One good signature in a batch vouches for everything of its chain, not just for what lies before it.",
    "tests/sync/test_receive.py::test_a_good_prefix_of_a_chain_with_a_bad_end_is_kept",
)
def one_signature_for_all() -> Patches:
    real = _Inbox._vouched

    def vouched(self: Any, changesets: Any) -> set[bytes]:
        good = real(self, changesets)
        chains = {c.head.chain for c in changesets if c.dot in good}
        return {c.dot for c in changesets if c.head.chain in chains}

    return [(_Inbox, "_vouched", vouched)]


@bug(
    "A changeset is taken though the one before it is not here: the tip moves over a gap.",
    "tests/sync/test_receive.py::test_a_gap_is_refused_and_filled_later",
)
def tips_over_a_gap() -> Patches:
    real = _Inbox._objection

    def objection(self: Any, changeset: Changeset) -> str | None:
        found = real(self, changeset)
        return None if found == "previous_missing" else found

    return [(_Inbox, "_objection", objection)]


@bug(
    "The second branch of a fork is refused: what a restored or copied replica wrote first stays, the rest is lost.",
    "tests/sync/test_forks.py::test_after_healing_the_summaries_are_equal",
)
def one_branch_of_a_fork() -> Patches:
    real = _Inbox._objection

    def objection(self: Any, changeset: Changeset) -> str | None:
        prev = bytes.fromhex(changeset.head.prev) if changeset.head.prev else None
        chain = {"name": changeset.head.name, "incarnation": changeset.head.incarnation, "scope": changeset.head.scope}
        if Entry.objects.filter(prev=prev, **{f"chain__{key}": value for key, value in chain.items()}).exists():
            return "forked"
        return real(self, changeset)

    return [(_Inbox, "_objection", objection)]


@bug(
    "Log and tips are committed before registers and rows are: what crashes in between is never applied.",
    "tests/sync/test_poison.py::test_a_full_disk_is_no_fault_of_a_changeset",
)
def checkpoint_before_apply() -> Patches:
    real = isolation.apply_each

    def later(changesets: Any) -> dict[bytes, str]:
        found = list(changesets)
        transaction.on_commit(lambda: _in_transaction(lambda: real(found)))
        return {}

    return [(receive, "apply_each", later)]


def _in_transaction(work: Callable[[], Any]) -> None:
    with transaction.atomic():
        work()


@bug("What was received before is taken once more.", "tests/sync/test_receive.py::test_receiving_twice_changes_nothing")
def known_ones_are_new() -> Patches:
    real = receive.log.known

    def take(self: Any, frames: Any) -> int:
        with patch.object(receive.log, "known", lambda dots: {}):
            everything = [c for frame in frames for c in frame.changesets]
        self.receipt.received += len(everything)
        self._load_parents(everything)
        accepted = self._accept(everything)
        if accepted:
            self._append(frames, accepted)
            self._apply(accepted, False)
        return len(accepted)

    assert real
    return [(_Inbox, "take", take)]


@bug(
    "A frame that is packed anew leaves the detached values behind.",
    "tests/sync/test_forks.py::test_two_replicas_that_swap_state_hold_the_same",
)
def values_stay_behind() -> Patches:
    from sync.core import wire

    real = wire.lines_of
    return [(wire, "lines_of", lambda raw, signature, texts: real(raw, signature, ()))]


# --- trust


@bug(
    "What counts is judged once, at arrival; a change of the trusted list changes nothing that is here.",
    "tests/sync/test_receive.py::test_a_revocation_that_arrives_is_carried_out_here",
)
def judged_once() -> Patches:
    return [(receive, "readmit", lambda names: 0), (trust_admin.admission, "readmit", lambda names: 0)]


@bug("What does not count here is not passed on.")
def quarantine_is_not_passed_on() -> Patches:
    real = exchange.missing

    def missing(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return (entry for entry in real(*args, **kwargs) if entry.state != Entry.State.QUARANTINED)

    return [(exchange, "missing", missing)]


@bug(
    "Whoever is on the list may enter others.",
    "tests/sync/test_receive.py::test_an_edge_that_writes_the_trusted_list_is_quarantined",
)
def anybody_crowns_himself() -> Patches:
    def every() -> list[Any]:
        chains = Chain.objects.filter(scope=TRUST)
        return [w for chain in chains for _, c in log.of_chain(chain.pk) for w in trusting.writes_of(c, chain.key)]

    def evaluate(root: str, pinned: Any, writes: Any, is_below: Any) -> Any:
        found = trust.evaluate(root, pinned, writes, is_below)
        for write in sorted(writes, key=lambda write: write.order):
            if write.writer in found.entries and write.subject not in found.entries:
                found.entries[write.subject] = write.entry
        return found

    return [(trusting, "_writes", every), (trusting, "evaluate", evaluate)]


@bug(
    "Everybody holds every scope: the submissions of a farm reach the other farms.",
    "tests/sync/test_receive.py::test_another_farms_submissions_are_not_held_here",
)
def no_private_scopes() -> Patches:
    return [(module, "is_entitled", lambda party, scope: True) for module in (receive, ends, policy)]


@bug(
    "The closing tips of a revoked name are not asked: all that it ever wrote counts.",
    "tests/sync/test_receive.py::test_a_forgery_with_a_stolen_key_and_an_old_date_does_not_count_after_revocation",
)
def revoked_ones_count() -> Patches:
    real = trust.TrustList.party_at

    def party_at(self: Any, name: str, at: Any, is_below: Any) -> Any:
        return real(self, name, at, lambda dot, tips: True)

    return [(trust.TrustList, "party_at", party_at)]


@bug(
    "A replica whose key was changed goes on under its old incarnation.",
    "tests/sync/test_incarnation.py::test_another_key_makes_a_new_incarnation",
)
def new_key_old_incarnation() -> Patches:
    real = incarnation._why_new
    return [(incarnation, "_why_new", lambda own, noted, where, key: real(_with_key(own, key), noted, where, key))]


def _with_key(own: Any, key: str) -> Any:
    own.key = key
    return own


# --- clocks


@bug(
    "The clock is not advanced by what is applied.",
    "tests/sync/test_receive.py::test_what_is_written_here_after_something_was_received_is_later",
)
def clock_is_not_merged() -> Patches:
    return [(local, "set_clock", lambda stamp: None)]


@bug(
    "The clock is not advanced by what was held and is released.",
    "tests/sync/test_clocks.py::test_the_clock_is_merged_when_something_held_is_released",
)
def clock_is_not_merged_on_release() -> Patches:
    real_release, real_set = admission.release, local.set_clock

    def release() -> int:
        with patch.object(local, "set_clock", lambda stamp: None):
            return real_release()

    assert real_set
    return [(module, "release", release) for module in (admission, receive)]


@bug(
    "A stamp is what the wall says, also where that lies before the last one.",
    "tests/sync/test_clocks.py::test_an_edit_under_a_slow_clock_wins_over_what_it_has_seen",
)
def wall_time_is_the_clock() -> Patches:
    return [(clock.Timestamp, "next", lambda self, wall_ms: Timestamp(wall_ms, 0))]


@bug("Nothing is held, however far its clock runs ahead.", "tests/sync/test_receive.py::test_a_clock_in_the_year_2099_is_held")
def nothing_is_held() -> Patches:
    return [(clock.Timestamp, "is_ahead", lambda self, wall_ms, drift_ms: False)]


@bug(
    "What is held is never released.",
    "tests/sync/test_receive.py::test_what_was_held_counts_when_the_wall_clock_has_caught_up",
)
def nothing_is_released() -> Patches:
    return [(module, "release", lambda: 0) for module in (admission, receive)]


@bug(
    "Holding is asked anew: what was applied is taken back where the wall clock has jumped back.",
    "tests/sync/test_clocks.py::test_a_clock_that_is_set_back_while_running_takes_nothing_back",
)
def hold_takes_back() -> Patches:
    real = admission.release

    def release() -> int:
        bound = local.wall_ms() + 300_000
        Entry.objects.filter(state=Entry.State.APPLIED, ms__gt=bound).update(state=Entry.State.HELD)
        return real()

    return [(module, "release", release) for module in (admission, receive)]


# --- registers


@bug("Of several heads each replica shows the one that came to it last.")
def no_tie_break() -> Patches:
    def shown(self: Any, heads: tuple[bytes, ...]) -> bytes:
        found = log.known(heads)
        return max(heads, key=lambda dot: found[dot].position if dot in found else 0)

    return [(values.Values, "shown", shown)]


@bug(
    "State is kept as heads only: what was overwritten before it came is a head when it comes.",
    "tests/core/test_register.py::test_an_overwritten_write_that_comes_late_does_not_return",
)
def heads_only() -> Patches:
    real = register.Row.write

    def write(self: Any, key: str, dot: bytes, over: Any, latest: bool = False) -> None:
        self.gone.clear()
        real(self, key, dot, over, latest)
        self.gone.clear()

    return [(register.Row, "write", write)]


@bug(
    "A write overwrites whatever stands there, seen or not.",
    "tests/sync/test_capture.py::test_two_instances_that_change_one_field_are_siblings_and_a_third_resolves_them",
)
def over_is_all_heads() -> Patches:
    def over(row: Any, change: Any, slot: Any, *_: Any) -> list[bytes]:
        return [*slot.row.heads.get(change.key, ()), *(slot.row.deletes if row.before is None else ())]

    return [(commit, "_over", over)]


@bug(
    "A write overwrites nothing.",
    "tests/sync/test_capture.py::test_two_instances_that_change_one_field_are_siblings_and_a_third_resolves_them",
)
def over_is_nothing() -> Patches:
    return [(commit, "_over", lambda *_: [])]


@bug(
    "What an instance was loaded with is forgotten: a stale save counts as a statement about the row of now.",
    "tests/sync/test_capture.py::test_a_stale_full_save_does_not_bring_old_values_back",
)
def stale_form_wins() -> Patches:
    return [(pending, "remember_seen", lambda instance, loaded, using: None)]


@bug(
    "A save writes every field that it names, also those that did not change.",
    "tests/sync/test_capture.py::test_save_writes_every_field_once_and_then_only_what_changed",
)
def unchanged_fields_are_written() -> Patches:
    real = difference._field_changes

    def changes(field: Any, before: Any, after: Any, seen: Any) -> Iterator[Any]:
        found = list(real(field, before, after, seen))
        if not found and before is not None and field.policy in ("register", "text"):
            value = field.to_json(after[field.name])
            found = [difference.Change(field, None, value, value, False, False)]
        yield from found

    return [(difference, "_field_changes", changes)]


@bug(
    "Deletions are purged together with the registers of a row that is dead.",
    "tests/core/test_register.py::test_a_state_survives_being_stored",
)
def tombstones_are_dropped() -> Patches:
    real = register.Row.encode
    return [(register.Row, "encode", lambda self: real(register.Row()) if self.deletes and not self.own else real(self))]


@bug(
    "A deletion takes the row, whatever was written to it unseen.",
    "tests/core/test_register.py::test_a_deletion_takes_only_what_it_has_seen",
)
def deletion_always_wins() -> Patches:
    real = register.Row.own

    def own(self: Any) -> bool:
        return not self.deletes and bool(real.fget(self))  # type: ignore[attr-defined]

    return [(register.Row, "own", property(own))]


@bug(
    "A write takes the deletions away that are there.",
    "tests/sync/test_conflicts.py::test_an_ordinary_edit_does_not_answer_the_question",
)
def any_write_revives() -> Patches:
    real = register.Row.write

    def write(self: Any, key: str, dot: bytes, over: Any, latest: bool = False) -> None:
        self.deletes.clear()
        real(self, key, dot, over, latest)

    return [(register.Row, "write", write)]


@bug(
    "Fields of the policy `latest`, such as the time of a change, keep a deleted row alive.",
    "tests/core/test_register.py::test_a_timestamp_keeps_no_row_alive",
)
def a_timestamp_revives() -> Patches:
    def own(self: Any) -> bool:
        seen = frozenset().union(*self.deletes.values()) if self.deletes else frozenset()
        return any(dot not in seen for heads in self.heads.values() for dot in heads)

    return [(register.Row, "own", property(own))]


@bug(
    "A deleted page takes a block along that somebody else has added meanwhile.",
    "tests/sync/test_receive.py::test_a_block_that_a_deletion_of_its_page_had_not_seen_keeps_the_page",
)
def parts_keep_nothing_alive() -> Patches:
    return [(project._Projector, "_lives", lambda self, key, slot: project.is_own(self.model, slot.row))]


@bug(
    "The digest forgets to take out what a row was before.",
    "tests/sync/test_receive.py::test_any_order_repetition_and_partition_gives_equal_state",
)
def digest_only_grows() -> Patches:
    real = registers.Batch.save

    def save(self: Any) -> None:
        for slot in self.slots.values():
            slot.before = b""
        real(self)

    return [(registers.Batch, "save", save)]


@bug(
    "Fields that were not changed here are not shown anew when a row is derived again.",
    "tests/sync/test_receive.py::test_a_field_that_only_a_revoked_replica_wrote_is_empty_again",
)
def derived_rows_keep_old_columns() -> Patches:
    real = rebuild._finish

    def finish(batch: Any, known: Any) -> None:
        with patch.object(rebuild, "project", lambda batch, values: None):
            real(batch, known)

    return [(rebuild, "_finish", finish)]


@bug(
    "A row is replaced instead of updated: columns that no replica writes for another are empty again.",
    "tests/sync/test_documented_models.py::test_what_is_local_stays_when_a_row_is_written_anew",
)
def replace_for_upsert() -> Patches:
    def upsert(table: str, key: str, columns: Any, rows: Any, keep: Any = ()) -> None:
        sql.delete_in(table, key, [row[0] for row in rows])
        sql.insert(table, (key, *columns), rows)

    return [(project, "sql", SimpleNamespace(**{**vars(sql), "upsert": upsert}))]


# --- names


@bug(
    "A name is free again when its owner dies.",
    "tests/sync/test_claims.py::test_an_owner_that_is_renamed_or_deleted_hands_its_slug_to_nobody",
)
def slug_is_handed_on_at_death() -> Patches:
    real = claims._with_words

    def living(model: str, words: str) -> Iterator[Any]:
        dead = set(Register.objects.filter(model=model, alive=False).values_list("token", flat=True))
        return (item for item in real(model, words) if item[1].token not in dead)

    return [(claims, "_with_words", living)]


@bug(
    "Only names that were claimed here are kept.",
    "tests/sync/test_claims.py::test_a_slug_that_is_taken_here_is_not_given_out_again",
)
def names_of_others_are_not_kept() -> Patches:
    real = claims.note
    return [(rebuild.claims, "note", lambda made: real([c for c in made if c.head.name == commit.conf.name()]))]


@bug("Whoever claims a name last has it.", "tests/sync/test_receive.py::test_a_former_slug_belongs_to_its_row_for_ever")
def the_last_claim_wins() -> Patches:
    from sync.core import slug

    real = slug.allocate

    def allocate(found: Any) -> Any:
        every = list(found)
        turned = {c._replace(stamp=Timestamp(-c.stamp.ms, -c.stamp.counter)): c for c in every}
        return {turned[claim]: name for claim, name in real(turned).items()}

    return [(claims, "allocate", allocate)]


# --- incarnations and forks


@bug(
    "A database that was taken back or copied goes on under its old incarnation and numbers.",
    "tests/sync/test_incarnation.py::test_a_database_taken_back_goes_on_under_a_new_incarnation",
)
def incarnation_is_forgotten() -> Patches:
    return [(incarnation, "_why_new", lambda own, noted, where, key: "")]


@bug(
    "A changeset of our own incarnation that came from elsewhere is no reason to leave it.",
    "tests/sync/test_incarnation.py::test_our_own_signature_on_what_is_not_here_is_a_proof",
)
def own_twin_is_not_noticed() -> Patches:
    return [(_Inbox, "_leave_forked_incarnation", staticmethod(lambda accepted: None))]


@bug(
    "The tips of a chain are compared by number: two branches of one length look alike.",
    "tests/sync/test_forks.py::test_two_branches_of_one_length_have_two_summaries",
)
def tips_by_number() -> Patches:
    real = ends._line
    return [(ends, "_line", lambda tip: real(tip._replace(dot=b"")))]


@bug(
    "A number is given out twice: the clock and the number of the last changeset are taken from memory that a crash took.",
    "tests/sync/test_capture.py::test_changesets_are_numbered_without_gaps_chained_and_signed",
)
def a_number_is_used_again() -> Patches:
    real = commit.make

    def make(scope: str, draft: Any, own: Any, after: Any = clock.ZERO) -> Changeset:
        ends = commit.Tip.objects.order_by("-seq")
        stale = ends.filter(chain__name=commit.conf.name(), chain__scope=scope).first()
        if stale is not None and stale.seq % 2 == 0:
            before = Entry.objects.filter(dot=stale.dot).values_list("prev", flat=True).get()
            if before is not None:
                stale.dot, stale.seq = before, stale.seq - 1
                stale.save()
        return real(scope, draft, own, after)

    return [(commit, "make", make), (trusting, "make", make)]


# --- exchange


@bug(
    "A replica sends what it made itself, and nothing that it got from others.",
    "tests/sync/test_forks.py::test_a_branch_is_sent_from_where_it_begins",
)
def only_own_are_sent() -> Patches:
    real = exchange._lags

    def lags(have: Any, ours: Any) -> Iterator[Any]:
        return (lag for lag in real(have, ours) if lag.chain.name == commit.conf.name() or lag.chain.scope == TRUST)

    return [(exchange, "_lags", lags)]


@bug(
    "The first changeset of each chain that is sent is left out.",
    "tests/sync/test_forks.py::test_a_branch_is_sent_from_where_it_begins",
)
def off_by_one() -> Patches:
    real = exchange._entries

    def entries(chain: int, after: int) -> Iterator[Any]:
        return real(chain, after + 1)

    return [(exchange, "_entries", entries)]


@bug(
    "A peer's last line is not waited for: a stream that was cut between frames counts as whole.",
    "tests/sync/test_cut_streams.py::test_a_stream_cut_anywhere_is_gone_on_with",
)
def cut_streams_are_whole() -> Patches:
    return [(stream.Stream, "check", lambda self: None)]


# --- forms, parts, merges, newcomers


@bug(
    "The versions that a form carries are not looked at: what it has seen is guessed from the values that it showed.",
    "tests/content/test_editor_versions.py::test_a_value_that_returned_is_not_what_the_form_was_loaded_with",
)
def versions_are_not_looked_at() -> Patches:
    return [(Sight, "over", lambda self, row, key, slot: None)]


@bug(
    "What a form has written before counts as somebody else's: two clicks on save are a conflict with oneself.",
    "tests/content/test_editor_versions.py::test_back_and_save_again_is_no_conflict_with_oneself",
)
def own_saves_are_not_known() -> Patches:
    return [(Sight, "remember", lambda self, made: None)]


@bug(
    "Of two saves of one form the one that arrives last wins, though it was sent first.",
    "tests/content/test_editor_versions.py::test_of_two_saves_in_flight_the_later_one_wins_whichever_arrives_first",
)
def saves_count_as_they_come() -> Patches:
    return [(Sight, "without_overtaken", lambda self, row, change: change)]


@bug(
    "A form deletes its row with all that was written to it since.",
    "tests/content/test_editor_versions.py::test_a_block_that_was_edited_elsewhere_is_not_deleted_by_an_old_form",
)
def forms_delete_the_unseen() -> Patches:
    return [(Sight, "deletion", lambda self, row, slot: None)]


@bug(
    "A page is not looked at again when the block is deleted or moved away, here, by which alone it lived.",
    "tests/sync/test_conflicts.py::test_a_page_that_lives_by_a_block_alone_goes_with_it",
)
def wholes_outlive_their_last_part() -> Patches:
    return [(commit, "_wholes_left", lambda rows: set())]


@bug(
    "Of texts that merge just one is shown, and nobody is asked.",
    "tests/sync/test_merging.py::test_two_texts_of_one_base_are_shown_merged_and_are_no_conflict",
)
def a_merge_is_one_of_its_sides() -> Patches:
    real = merging.merge

    def merge(texts: Any, base: str, is_markup: bool, *rest: Any) -> str | None:
        return None if real(texts, base, is_markup, *rest) is None else max(texts)

    return [(merging, "merge", merge)]


@bug(
    "What is shown of texts that merge hangs on which of them came first.",
    "tests/sync/test_merging.py::test_any_order_of_arrival_shows_the_same_and_no_head_is_out_of_sight",
)
def merges_go_by_arrival() -> Patches:
    real = merging.merged

    def merged(values: Any, row: Any, field: Any, element: Any, heads: Any) -> str | None:
        text = real(values, row, field, element, heads)
        if text is None:
            return None
        first = Entry.objects.filter(dot__in=list(heads)).order_by("position").first()
        return merging.said(values, row, merging.key_of(field, element), bytes(first.dot)) if first else text

    return [(merging, "merged", merged)]


@bug(
    "Rows with several versions are not marked: nobody is asked which one is right.",
    "tests/sync/test_conflicts.py::test_a_conflict_tells_who_where_when_and_what",
)
def conflicts_are_not_marked() -> Patches:
    return [(register.Row, "siblings", lambda self: iter(()))]


@bug(
    "Values that came without their heads, from a replica that had dropped them, are not asked for.",
    "tests/sync/test_compact.py::test_what_was_overwritten_before_its_value_came_is_wanted_no_more",
)
def absent_values_are_not_wanted() -> Patches:
    return [(missing, "note_unshown", lambda batch, values: None), (missing, "note_incomplete", lambda changesets: None)]


# --- releases


@bug(
    "What concerns a model that is not known here is dropped.",
    "tests/sync/test_receive.py::test_an_unknown_model_is_kept_and_counted_and_blocks_nothing",
)
def unknown_models_are_dropped() -> Patches:
    real = rebuild.fold

    def fold(batch: Any, changeset: Changeset, only: Any = None) -> None:
        known = {registers.RowKey(op.model, op.token) for op in changeset.head.ops if spec_of(op.model) is not None}
        real(batch, changeset, only=known if only is None else known & only)

    return [(rebuild, "fold", fold)]


@bug("After an upgrade nothing is tried again.")
def upgrades_show_nothing() -> Patches:
    return [(replay, "after_upgrade", lambda: None)]


@bug(
    "A field that is not known here is dropped from the registers.",
    "tests/sync/test_receive.py::test_a_field_of_a_newer_release_is_kept_and_shown_after_the_upgrade",
)
def unknown_fields_are_dropped() -> Patches:
    from sync import fold

    real = fold.fold_op

    def fold_op(row: Any, dot: bytes, refs: Any, op: Any) -> None:
        spec = spec_of(op.model)
        writes = [w for w in op.writes if spec is None or w.field in spec.fields]
        real(row, dot, refs, type(op)(op.model, op.token, writes, op.seen))

    return [(fold, "fold_op", fold_op)]

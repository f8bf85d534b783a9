"""Mistakes that one could make, to be planted one at a time: the simulator must find each, or a test by name does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from django.db import transaction

from sync import (
    admission,
    claims,
    commit,
    difference,
    exchange,
    incarnation,
    isolation,
    local,
    log,
    pending,
    project,
    rebuild,
    receive,
    registers,
    replay,
    sweep,
    trust_admin,
    trusting,
    values,
)
from sync.core import clock, policy, register, trust
from sync.core.changeset import Changeset
from sync.core.clock import Timestamp
from sync.core.policy import TRUST
from sync.models import Entry, Register
from sync.receive import _Inbox
from sync.registry import spec_of

Patches = list[tuple[Any, str, Any]]  # target, attribute, what stands there instead


@dataclass(frozen=True)
class Bug:
    """A mistake: its name, a sentence, and how it is planted."""

    name: str
    sentence: str
    patches: Callable[[], Patches]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Let the program have this mistake within."""
        with ExitStack() as stack:
            for target, attribute, value in self.patches():
                stack.enter_context(patch.object(target, attribute, value))
            yield


BUGS: dict[str, Bug] = {}


def bug(sentence: str) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    """Enter a function that returns patches into the list."""

    def enter(make: Callable[[], Patches]) -> Callable[[], Patches]:
        BUGS[make.__name__] = Bug(make.__name__, sentence, make)
        return make

    return enter


# --- accepting


@bug("The signature of a changeset is not looked at.")
def skip_the_signature() -> Patches:
    return [(receive.signing, "is_signed_by", lambda key, id, signature: True)]


@bug("One good signature in a batch vouches for everything of its chain, not just for what lies before it.")
def one_signature_for_all() -> Patches:
    real = _Inbox._vouched

    def vouched(self: Any, changesets: Any) -> set[bytes]:
        good = real(self, changesets)
        chains = {c.head.chain for c in changesets if c.dot in good}
        return {c.dot for c in changesets if c.head.chain in chains}

    return [(_Inbox, "_vouched", vouched)]


@bug("A changeset is taken though the one before it is not here: the tip moves over a gap.")
def tips_over_a_gap() -> Patches:
    real = _Inbox._objection

    def objection(self: Any, changeset: Changeset) -> str | None:
        found = real(self, changeset)
        return None if found == "previous_missing" else found

    return [(_Inbox, "_objection", objection)]


@bug("The second branch of a fork is refused: what a restored or copied replica wrote first stays, the rest is lost.")
def one_branch_of_a_fork() -> Patches:
    real = _Inbox._objection

    def objection(self: Any, changeset: Changeset) -> str | None:
        prev = bytes.fromhex(changeset.head.prev) if changeset.head.prev else None
        chain = {"name": changeset.head.name, "incarnation": changeset.head.incarnation, "scope": changeset.head.scope}
        if Entry.objects.filter(prev=prev, **{f"chain__{key}": value for key, value in chain.items()}).exists():
            return "forked"
        return real(self, changeset)

    return [(_Inbox, "_objection", objection)]


@bug("Log and tips are committed before registers and rows are: what crashes in between is never applied.")
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


@bug("What was received before is taken once more.")
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


@bug("A frame that is packed anew leaves the detached values behind.")
def values_stay_behind() -> Patches:
    from sync.core import wire

    real = wire.lines_of
    return [(wire, "lines_of", lambda raw, signature, texts: real(raw, signature, ()))]


# --- trust


@bug("What counts is judged once, at arrival; a change of the trusted list changes nothing that is here.")
def judged_once() -> Patches:
    return [(receive, "readmit", lambda names: 0), (trust_admin.admission, "readmit", lambda names: 0)]


@bug("What does not count here is not passed on.")
def quarantine_is_not_passed_on() -> Patches:
    real = exchange.missing

    def missing(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return (entry for entry in real(*args, **kwargs) if entry.state != Entry.State.QUARANTINED)

    return [(exchange, "missing", missing)]


@bug("Whoever is on the list may write the list.")
def anybody_crowns_himself() -> Patches:
    real = trust.evaluate

    def evaluate(root: str, pinned: Any, writes: Any, is_below: Any) -> Any:
        every = list(writes)
        found = real(root, pinned, every, is_below)
        for write in sorted(every, key=lambda write: write.order):
            if write.writer in found.entries and write.subject != root:
                found.entries[write.subject] = write.entry
        return found

    return [(trusting, "evaluate", evaluate)]


@bug("Everybody holds every scope: the submissions of a farm reach the other farms.")
def no_private_scopes() -> Patches:
    return [(module, "is_entitled", lambda party, scope: True) for module in (receive, exchange, policy)]


@bug("The closing tips of a revoked name are not asked: all that it ever wrote counts.")
def revoked_ones_count() -> Patches:
    real = trust.TrustList.party_at

    def party_at(self: Any, name: str, at: Any, is_below: Any) -> Any:
        return real(self, name, at, lambda dot, tips: True)

    return [(trust.TrustList, "party_at", party_at)]


@bug("A replica whose key was changed goes on under its old incarnation.")
def new_key_old_incarnation() -> Patches:
    real = incarnation._why_new
    return [(incarnation, "_why_new", lambda own, noted, where, key: real(_with_key(own, key), noted, where, key))]


def _with_key(own: Any, key: str) -> Any:
    own.key = key
    return own


# --- clocks


@bug("The clock is not advanced by what is applied.")
def clock_is_not_merged() -> Patches:
    return [(local, "set_clock", lambda stamp: None)]


@bug("The clock is not advanced by what was held and is released.")
def clock_is_not_merged_on_release() -> Patches:
    real_release, real_set = admission.release, local.set_clock

    def release() -> int:
        with patch.object(local, "set_clock", lambda stamp: None):
            return real_release()

    assert real_set
    return [(module, "release", release) for module in (admission, receive)]


@bug("A stamp is what the wall says, also where that lies before the last one.")
def wall_time_is_the_clock() -> Patches:
    return [(clock.Timestamp, "next", lambda self, wall_ms: Timestamp(wall_ms, 0))]


@bug("Nothing is held, however far its clock runs ahead.")
def nothing_is_held() -> Patches:
    return [(clock.Timestamp, "is_ahead", lambda self, wall_ms, drift_ms: False)]


@bug("What is held is never released.")
def nothing_is_released() -> Patches:
    return [(module, "release", lambda: 0) for module in (admission, receive)]


@bug("Holding is asked anew: what was applied is taken back where the wall clock has jumped back.")
def hold_takes_back() -> Patches:
    real = admission.release

    def release() -> int:
        bound = local.wall_ms() + 300_000
        Entry.objects.filter(state=Entry.State.APPLIED, ms__gt=bound).update(state=Entry.State.HELD)
        return real()

    return [(module, "release", release) for module in (admission, receive)]


@bug("What follows a held changeset in its chain is not held with it.")
def held_parents_hold_nobody() -> Patches:
    real = _Inbox._judge

    def judge(self: Any, changeset: Changeset) -> Any:
        record = real(self, changeset)
        if record.state == Entry.State.HELD and not changeset.head.stamp.is_ahead(self.wall, 300_000):
            return replace(record, state=int(Entry.State.APPLIED), reason="")
        return record

    return [(_Inbox, "_judge", judge)]


# --- registers


@bug("Of several heads each replica shows the one that came to it last.")
def no_tie_break() -> Patches:
    def shown(self: Any, heads: tuple[bytes, ...]) -> bytes:
        found = log.known(heads)
        return max(heads, key=lambda dot: found[dot].position if dot in found else 0)

    return [(values.Values, "shown", shown)]


@bug("State is kept as heads only: what was overwritten before it came is a head when it comes.")
def heads_only() -> Patches:
    real = register.Row.write

    def write(self: Any, key: str, dot: bytes, over: Any, latest: bool = False) -> None:
        self.gone.clear()
        real(self, key, dot, over, latest)
        self.gone.clear()

    return [(register.Row, "write", write)]


@bug("A write overwrites whatever stands there, seen or not.")
def over_is_all_heads() -> Patches:
    def over(row: Any, change: Any, slot: Any, *_: Any) -> list[bytes]:
        return [*slot.row.heads.get(change.key, ()), *(slot.row.deletes if row.before is None else ())]

    return [(commit, "_over", over)]


@bug("A write overwrites nothing.")
def over_is_nothing() -> Patches:
    return [(commit, "_over", lambda *_: [])]


@bug("What an instance was loaded with is forgotten: a stale save counts as a statement about the row of now.")
def stale_form_wins() -> Patches:
    return [(pending, "remember_seen", lambda instance, loaded, using: None)]


@bug("A save writes every field that it names, also those that did not change.")
def unchanged_fields_are_written() -> Patches:
    real = difference._field_changes

    def changes(field: Any, before: Any, after: Any, seen: Any) -> Iterator[Any]:
        found = list(real(field, before, after, seen))
        if not found and before is not None and field.policy == "register" and field.name in seen:
            value = field.to_json(after[field.name])
            found = [difference.Change(field, None, value, value, False, False)]
        yield from found

    return [(difference, "_field_changes", changes)]


@bug("Deletions are purged together with the registers of a row that is dead.")
def tombstones_are_dropped() -> Patches:
    real = register.Row.encode
    return [(register.Row, "encode", lambda self: real(register.Row()) if self.deletes and not self.own else real(self))]


@bug("A deletion takes the row, whatever was written to it unseen.")
def deletion_always_wins() -> Patches:
    real = register.Row.own

    def own(self: Any) -> bool:
        return not self.deletes and bool(real.fget(self))  # type: ignore[attr-defined]

    return [(register.Row, "own", property(own))]


@bug("A write takes the deletions away that are there.")
def any_write_revives() -> Patches:
    real = register.Row.write

    def write(self: Any, key: str, dot: bytes, over: Any, latest: bool = False) -> None:
        self.deletes.clear()
        real(self, key, dot, over, latest)

    return [(register.Row, "write", write)]


@bug("Fields of the policy `latest`, such as the time of a change, keep a deleted row alive.")
def a_timestamp_revives() -> Patches:
    def own(self: Any) -> bool:
        seen = frozenset().union(*self.deletes.values()) if self.deletes else frozenset()
        return any(dot not in seen for heads in self.heads.values() for dot in heads)

    return [(register.Row, "own", property(own))]


@bug("A deleted page takes a block along that somebody else has added meanwhile.")
def parts_keep_nothing_alive() -> Patches:
    return [(project._Projector, "_lives", lambda self, key, slot: project.is_own(self.model, slot.row))]


@bug("The digest forgets to take out what a row was before.")
def digest_only_grows() -> Patches:
    real = registers.Batch.save

    def save(self: Any) -> None:
        for slot in self.slots.values():
            slot.before = b""
        real(self)

    return [(registers.Batch, "save", save)]


@bug("Fields that were not changed here are not shown anew when a row is derived again.")
def derived_rows_keep_old_columns() -> Patches:
    real = rebuild._finish

    def finish(batch: Any, known: Any) -> None:
        with patch.object(rebuild, "project", lambda batch, values: None):
            real(batch, known)

    return [(rebuild, "_finish", finish)]


# --- names


@bug("A name is free again when its owner dies.")
def slug_is_handed_on_at_death() -> Patches:
    real = claims._with_words

    def living(model: str, words: str) -> Iterator[Any]:
        dead = set(Register.objects.filter(model=model, alive=False).values_list("token", flat=True))
        return (item for item in real(model, words) if item[1].token not in dead)

    return [(claims, "_with_words", living)]


@bug("Only names that were claimed here are kept.")
def names_of_others_are_not_kept() -> Patches:
    real = claims.note
    return [(rebuild.claims, "note", lambda made: real([c for c in made if c.head.name == commit.conf.name()]))]


@bug("Whoever claims a name last has it.")
def the_last_claim_wins() -> Patches:
    from sync.core import slug

    real = slug.allocate

    def allocate(found: Any) -> Any:
        every = list(found)
        turned = {c._replace(stamp=Timestamp(-c.stamp.ms, -c.stamp.counter)): c for c in every}
        return {turned[claim]: name for claim, name in real(turned).items()}

    return [(claims, "allocate", allocate)]


# --- incarnations and forks


@bug("A database that was taken back or copied goes on under its old incarnation and numbers.")
def incarnation_is_forgotten() -> Patches:
    return [(incarnation, "_why_new", lambda own, noted, where, key: "")]


@bug("A changeset of our own incarnation that came from elsewhere is no reason to leave it.")
def own_twin_is_not_noticed() -> Patches:
    return [(_Inbox, "_leave_forked_incarnation", staticmethod(lambda accepted: None))]


@bug("The tips of a chain are compared by number: two branches of one length look alike.")
def tips_by_number() -> Patches:
    real = exchange.summary
    return [(exchange, "summary", lambda tips: real({tip._replace(dot=b"") for tip in tips}))]


@bug("A number is given out twice: the clock and the number of the last changeset are taken from memory that a crash took.")
def a_number_is_used_again() -> Patches:
    real = commit.make

    def make(scope: str, draft: Any, own: Any, after: Any = clock.ZERO) -> Changeset:
        ends = commit.Tip.objects.order_by("-seq")
        stale = ends.filter(chain__name=commit.conf.name(), chain__scope=scope).first()
        if stale is not None and stale.seq % 5 == 4:
            before = Entry.objects.filter(dot=stale.dot).values_list("prev", flat=True).get()
            if before is not None:
                stale.dot, stale.seq = before, stale.seq - 1
                stale.save()
        return real(scope, draft, own, after)

    return [(commit, "make", make), (trusting, "make", make)]


# --- exchange


@bug("A replica sends what it made itself, and nothing that it got from others.")
def only_own_are_sent() -> Patches:
    real = exchange._lags

    def lags(have: Any, ours: Any) -> Iterator[Any]:
        return (lag for lag in real(have, ours) if lag.chain.name == commit.conf.name() or lag.chain.scope == TRUST)

    return [(exchange, "_lags", lags)]


@bug("The first changeset of each chain that is sent is left out.")
def off_by_one() -> Patches:
    real = exchange._entries

    def entries(chain: int, after: int) -> Iterator[Any]:
        return real(chain, after + 1)

    return [(exchange, "_entries", entries)]


@bug("A peer's last line is not waited for: a stream that was cut between frames counts as whole.")
def cut_streams_are_whole() -> Patches:
    return [(sweep._Stream, "check", lambda self: None)]


# --- releases


@bug("What concerns a model that is not known here is dropped.")
def unknown_models_are_dropped() -> Patches:
    real = rebuild.fold

    def fold(batch: Any, changeset: Changeset, only: Any = None) -> None:
        known = {registers.RowKey(op.model, op.token) for op in changeset.head.ops if spec_of(op.model) is not None}
        real(batch, changeset, only=known if only is None else known & only)

    return [(rebuild, "fold", fold)]


@bug("After an upgrade nothing is tried again.")
def upgrades_show_nothing() -> Patches:
    return [(replay, "after_upgrade", lambda: None)]


@bug("A field that is not known here is dropped from the registers.")
def unknown_fields_are_dropped() -> Patches:
    from sync import fold

    real = fold.fold_op

    def fold_op(row: Any, dot: bytes, refs: Any, op: Any) -> None:
        spec = spec_of(op.model)
        writes = [w for w in op.writes if spec is None or w.field in spec.fields]
        real(row, dot, refs, type(op)(op.model, op.token, writes, op.seen))

    return [(fold, "fold_op", fold_op)]

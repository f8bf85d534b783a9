"""Poison: a changeset that cannot be applied is quarantined or its row waits, for a reason that is shown; all others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, transaction

from content.models import Section, Submission
from sync import batches, fold, fresh, rebuild, replay, signals, status, suspects
from sync.core import bounds
from sync.core.changeset import Changeset, Op, Write
from sync.core.errors import TooLargeError
from sync.core.register import Row
from sync.models import Entry
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, framed, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 8)]


@pytest.fixture
def one() -> Origin:
    """An edge that is trusted here."""
    return Origin("EDGE01-LON").trust_here()


def break_fold(patch: pytest.MonkeyPatch, broken: Any) -> None:
    """Let folding be ``broken``, and every row be folded."""
    patch.setattr(rebuild, "fold", broken)
    patch.setattr(fresh, "store", lambda *args: fresh.Stored())


def shown() -> dict[str, str]:
    """Return token -> title of what is shown."""
    return dict(Section.objects.values_list("token", "title"))


def reasons(of: str) -> dict[str, int]:
    """Return reason -> how many, of what ``sync_status`` says is waiting in the state ``of``."""
    return {item["reason"]: item["count"] for item in status.status()["waiting"] if item["state"] == of}


def replayed(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    """Run ``sync_replay --json``, which ends with ``code`` and a line for each item that did not work; return its report."""
    status = 0
    try:
        call_command("sync_replay", "--json")
    except SystemExit as end:
        status = int(end.code or 0)
    said = capsys.readouterr()
    report = json.loads(said.out)
    failed = [item for item in report["changesets"] if item["reason"].startswith("apply_failed")]
    assert (status, len(said.err.splitlines())) == (code, len(failed) + report["deferred"]), said.err
    return report


# --- one that its origin had no right to make ------------------------------------------------------------------------------------


def test_what_its_origin_had_no_right_to_make_is_quarantined_and_what_stands_behind_it_is_applied(one, capsys):
    """In its own chain and in the stream; a replay finds that it still does not count, which is no failure."""
    entry = {"closed": {}, "open": None}
    odd = one.make(Op("sync.trust", "EDGE02-LON", [Write("entry", None, entry, [])]), scope="trust")
    behind = one.make(Op("sync.trust", "EDGE03-LON", [Write("entry", None, entry, [])]), scope="trust")
    receipt = arrive(odd, behind, one.make(title(TOKENS[0], "Good")))
    assert (receipt.quarantined, receipt.applied, receipt.refused) == (2, 1, {})
    assert shown() == {TOKENS[0]: "Good"}
    assert reasons("quarantined") == {"not_allowed": 2}
    report = replayed(capsys)
    assert [(item["seq"], item["result"], item["reason"]) for item in report["changesets"]] == [
        (1, "quarantined", "not_allowed"),
        (2, "quarantined", "not_allowed"),
    ]
    assert report["quarantined"] == 2


def test_a_row_of_everybody_written_where_only_a_farm_reads_is_quarantined(one):
    """Or a page would look different in one farm for ever, and nobody outside could see why."""
    arrive(one.make(title(TOKENS[0], "For all")))
    aside = one.make(title(TOKENS[0], "For the farm only", over=(0,)), refs=[one.made[0].dot], scope="farm:thames")
    assert arrive(aside, one.make(title(TOKENS[1], "Behind"))).quarantined == 1
    assert shown() == {TOKENS[0]: "For all", TOKENS[1]: "Behind"}
    assert reasons("quarantined") == {"wrong_scope": 1}
    assert_rows_follow_from_log()


def test_a_row_of_a_farm_written_where_everybody_reads_is_quarantined(one):
    """Or an edge of another farm could delete submissions that it may not even see, and digests would differ for ever."""
    made = Submission.objects.create(form="contact", data={"name": "Ada"}, farm="thames", idempotency_key="1")
    seen = bytes(Entry.objects.order_by("-position").values_list("dot", flat=True)[0])
    gone = one.make(Op("content.submission", made.token, [], [0]), refs=[seen])
    assert arrive(gone, one.make(title(TOKENS[1], "Behind"))).quarantined == 1
    assert Submission.objects.get().token == made.token and reasons("quarantined") == {"wrong_scope": 1}
    assert shown() == {TOKENS[1]: "Behind"}
    assert_rows_follow_from_log()


# --- one that makes apply raise --------------------------------------------------------------------------------------------------


class Trap:
    """A part of a site that raises when a row that it does not like is shown."""

    def __init__(self, *tokens: str) -> None:
        self.tokens, self.calls = set(tokens), 0

    def __call__(self, rows: set[Any], **_: Any) -> None:
        self.calls += 1
        if any(row.token in self.tokens for row in rows):
            raise RuntimeError("a reader of rows that cannot read this one")


@pytest.fixture
def trap():
    """Connect a trap; it is taken away in the end."""
    found = Trap(TOKENS[2])
    signals.projected.connect(found)
    yield found
    signals.projected.disconnect(found)


def test_a_row_whose_projection_raises_waits_and_all_others_are_shown(one, trap, capsys):
    """Only that row, also of the rows of its own changeset; its registers are right, so the digest is that of other replicas."""
    made = [one.make(title(token, "x")) for token in TOKENS[:2]]
    made += [one.make(title(TOKENS[2], "poison"), title(TOKENS[3], "beside")), one.make(title(TOKENS[4], "behind"))]
    receipt = arrive(*made)
    assert (receipt.applied, receipt.quarantined) == (4, 0)
    assert set(shown()) == {TOKENS[0], TOKENS[1], TOKENS[3], TOKENS[4]}
    assert reasons("deferred") == {"not_shown content.section": 1}
    before = status.status()["digest"]
    trap.tokens.clear()
    report = replayed(capsys)
    assert report["rows"] == [{"model": "content.section", "token": TOKENS[2], "result": "shown", "reason": ""}]
    assert shown()[TOKENS[2]] == "poison"
    assert (status.status()["digest"], status.status()["deferred"], reasons("deferred")) == (before, 0, {})
    assert_rows_follow_from_log()


def test_what_is_applied_in_parts_because_another_raises_is_what_it_is_at_once(one, trap):
    """Also where a write comes before the one that it overwrites, and they fall into two parts."""
    two, three = Origin("EDGE02-LON").trust_here(), Origin("EDGE03-LON").trust_here()
    first = one.make(title(TOKENS[0], "first"))
    second = two.make(title(TOKENS[0], "second", over=(0,)), refs=[first.dot])
    arrive(second, *(three.make(title(token, "poison")) for token in TOKENS[2:4]), first)
    assert shown() == {TOKENS[0]: "second", TOKENS[3]: "poison"}
    assert status.status()["conflicts"] == 0
    assert_rows_follow_from_log()


def test_a_row_that_still_cannot_be_shown_says_why_in_a_replay(one, trap, capsys):
    """The exception in words, for whoever is to mend it."""
    arrive(one.make(title(TOKENS[2], "poison")), one.make(title(TOKENS[3], "x" * 300)))
    found = {row["token"]: row["reason"] for row in replayed(capsys, code=1)["rows"]}
    assert found[TOKENS[2]] == "RuntimeError: a reader of rows that cannot read this one"
    assert found[TOKENS[3]].startswith("ValueError: title does not fit")


def test_the_culprit_is_found_in_few_attempts(one, trap):
    """Of a full batch it is looked for by halves, not one by one."""
    arrive(
        *(one.make(title(f"EDGE01-LON-43AX-AAAA{n:04}-221126143015", "x")) for n in range(255)), one.make(title(TOKENS[2], "x"))
    )
    assert Section.objects.count() == 255
    assert trap.calls < 30


def test_what_cannot_even_be_folded_is_quarantined_and_applied_by_a_replay(one, monkeypatch, capsys):
    """As by a mistake in this release that the next one mends; then digest and rows are those of replicas that never had it."""
    before, poison = one.make(title(TOKENS[0], "before")), one.make(title(TOKENS[2], "poison"))
    after = one.make(title(TOKENS[2], "later", over=(0,)), title(TOKENS[3], "beside"), refs=[poison.dot])

    def broken(batch: Any, changeset: Any, only: Any = None) -> None:
        if changeset.dot == poison.dot:
            raise OverflowError("no register takes this")
        fold.fold(batch, changeset, only)

    break_fold(monkeypatch, broken)
    receipt = arrive(before, poison, after)
    assert (receipt.applied, receipt.quarantined) == (2, 1)
    assert shown() == {TOKENS[0]: "before", TOKENS[2]: "later", TOKENS[3]: "beside"}
    [item] = [item for item in status.status()["waiting"] if item["state"] == "quarantined"]
    assert (item["reason"], item["count"]) == ("apply_failed", 1)
    assert item["first"].endswith("OverflowError: no register takes this")
    assert replayed(capsys, code=1)["changesets"][0]["result"] == "quarantined"
    monkeypatch.undo()
    report = replayed(capsys)
    assert report["changesets"][0]["result"] == "applied"
    assert report["quarantined"] == status.status()["quarantined"] == 0
    assert_rows_follow_from_log()


def test_what_overwrote_a_changeset_that_could_not_be_folded_still_does_after_a_replay(one, monkeypatch, capsys):
    """Though it was applied before anybody knew that the other could not be."""
    two = Origin("EDGE02-LON").trust_here()
    poison = one.make(title(TOKENS[2], "poison"))
    after = two.make(title(TOKENS[2], "later", over=(0,)), refs=[poison.dot])

    def broken(batch: Any, changeset: Any, only: Any = None) -> None:
        if changeset.dot == poison.dot:
            raise OverflowError("no register takes this")
        fold.fold(batch, changeset, only)

    with monkeypatch.context() as patch:
        break_fold(patch, broken)
        assert arrive(after, poison).quarantined == 1
    assert replayed(capsys)["applied"] == 1
    assert shown() == {TOKENS[2]: "later"}
    assert status.status()["conflicts"] == 0
    assert_rows_follow_from_log()


def test_what_could_not_be_folded_is_tried_again_after_an_upgrade(one, monkeypatch):
    """``migrate`` does what ``sync_replay`` does for what another release may know better."""
    with monkeypatch.context() as patch:
        break_fold(patch, lambda *args, **kwargs: 1 / 0)
        assert arrive(one.make(title(TOKENS[0], "x"))).quarantined == 1
    call_command("migrate", verbosity=0)
    assert shown() == {TOKENS[0]: "x"}
    assert status.status()["quarantined"] == 0


def test_a_held_changeset_that_cannot_be_folded_does_not_stop_every_exchange(one, monkeypatch, settings):
    """It is let go before each exchange, so it must not raise each time."""
    poison = one.make(title(TOKENS[0], "ahead"), ms=replay.local.wall_ms() + 1_000_000)
    assert arrive(poison).held == 1
    settings.SYNC = {**settings.SYNC, "MAX_CLOCK_DRIFT": 2000}
    with monkeypatch.context() as patch:
        break_fold(patch, lambda *args, **kwargs: 1 / 0)
        two = Origin("EDGE02-LON").trust_here()
        arrive()
    assert reasons("quarantined") == {"apply_failed": 1}
    assert arrive(two.make(title(TOKENS[1], "x"))).applied == 1


def test_a_full_disk_is_no_fault_of_a_changeset(one, monkeypatch):
    """What the machine cannot do now is raised, and nothing is quarantined for it."""

    def full(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database or disk is full")

    break_fold(monkeypatch, full)
    with pytest.raises(OperationalError):
        arrive(one.make(title(TOKENS[0], "x")))
    assert not Entry.objects.filter(chain__name=one.name).exists()


# --- one that ends the process ---------------------------------------------------------------------------------------------------

PROCESS = """
import os, sys, django
django.setup()
from sync import signals
from sync.core import wire
from sync.receive import receive
deadly = set(sys.argv[2:])
def end(rows, **_):
    if any(row.token in deadly for row in rows):
        os.kill(os.getpid(), 9)
signals.projected.connect(end)
receipt = receive(wire.frames([open(sys.argv[1], "rb").read()]))
print(receipt.applied, receipt.quarantined)
"""


class Elsewhere:
    """A replica with a database of its own, whose processes may die."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.folder = folder
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("EDGECMS_")},
            "EDGECMS_DATA": str(folder / "data"),
            "EDGECMS_NODE": "MASTER01",
            "EDGECMS_LOC": "LON",
            "DJANGO_SETTINGS_MODULE": "edgecms.settings",
        }
        self.run("manage.py", "migrate", "--verbosity", "0")
        self.run("manage.py", "sync_trust", origin.name, "--role", "edge", "--farm", "thames", "--key", origin.public)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *args], env=self.env, capture_output=True, text=True, timeout=60)

    def receive(self, frame: bytes, *deadly: str) -> subprocess.CompletedProcess[str]:
        """Receive ``frame`` in a process that is killed where it shows one of the rows ``deadly``."""
        (self.folder / "frame").write_bytes(frame)
        return self.run("-c", PROCESS, str(self.folder / "frame"), *deadly)


def test_what_ends_the_process_is_quarantined_after_the_second_crash_with_it_alone(tmp_path):
    """Of a batch nobody knows which it was; then each is applied alone, and that which was alone twice is not tried again."""
    one = Origin("EDGE01-LON")
    made = [one.make(title(token, "x")) for token in TOKENS]
    replica = Elsewhere(tmp_path, one)
    for _ in range(3):
        assert replica.receive(framed(*made).raw, TOKENS[3]).returncode == -signal.SIGKILL
    assert replica.receive(framed(*made).raw, TOKENS[3]).stdout == "6 1\n"
    report = json.loads(replica.run("manage.py", "sync_status", "--json").stdout)
    assert [(item["reason"], item["count"]) for item in report["waiting"]] == [("apply_failed", 1)]
    assert "the process ended" in report["waiting"][0]["first"]
    again = replica.run("manage.py", "sync_replay", "--json")
    assert (again.returncode, json.loads(again.stdout)["applied"]) == (0, 1)
    assert not list((tmp_path / "data" / "applying").glob("*-*"))


def test_what_is_applied_after_others_because_it_is_suspected_takes_nothing_back(one):
    """A later write has overwritten it already when its turn comes: it is no head, as if it had been applied in its order."""
    first = one.make(title(TOKENS[0], "first"))
    second = one.make(title(TOKENS[0], "second", over=(0,)), refs=[first.dot])
    suspects.folder().mkdir(exist_ok=True)
    (suspects.folder() / "1-left").write_bytes(2 * first.dot)  # by a process that was killed
    arrive(first, second)
    assert shown() == {TOKENS[0]: "second"}
    assert status.status()["conflicts"] == 0
    assert_rows_follow_from_log()


def test_what_somebody_killed_twice_at_the_same_moment_counts_after_the_next_sweep(one, tmp_path):
    """And what ends the process by itself ends it twice more, and then waits for an operator."""
    innocent, guilty = one.make(title(TOKENS[0], "x")), one.make(title(TOKENS[1], "y"))
    suspects.folder().mkdir(exist_ok=True)

    def crash(changeset: Changeset) -> None:
        (suspects.folder() / "999-crash").write_bytes(changeset.dot)
        suspects.crashes()

    for changeset in (innocent, guilty, innocent, guilty):
        crash(changeset)
    assert arrive(innocent, guilty).quarantined == 2
    crash(guilty), crash(guilty)
    with transaction.atomic():
        replay.retry_crashed()
    assert shown() == {TOKENS[0]: "x"}
    assert reasons("quarantined") == {"apply_failed": 1}
    assert list(suspects.crashes().values()) == [suspects.LAST]
    suspects.clear([guilty.dot])


def test_a_process_that_ended_while_it_applied_accuses_nobody_who_was_not_alone(one, tmp_path):
    """A replica that somebody kills again and again quarantines nothing, as long as it gets on."""
    made = [one.make(title(token, "x")) for token in TOKENS]
    suspects.folder().mkdir(exist_ok=True)
    for _ in range(5):
        (suspects.folder() / "999-crash").write_bytes(b"".join(changeset.dot for changeset in made))
        assert set(suspects.crashes().values()) == {0}
    assert arrive(*made).applied == len(made)
    assert suspects.crashes() == {}


# --- one beyond the bounds -------------------------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    """Return a list within a list, and so on."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def beyond() -> dict[str, Op]:
    """Ops that are well formed and too large."""
    many = [Write("tags", f"tag{n}", True, []) for n in range(bounds.MAX_KEYS + 1)]
    wide = [Write("tags", f"{n:0{bounds.MAX_ELEMENT}}", True, []) for n in range(bounds.MAX_HEAD_BYTES // bounds.MAX_ELEMENT)]
    seen = [0] * (bounds.MAX_REFERENCES + 1)
    return {
        "keys": Op("content.page", TOKENS[0], many),
        "key": Op("content.page", TOKENS[0], [Write("tags", "x" * (bounds.MAX_ELEMENT + 1), True, [])]),
        "references": Op("content.page", TOKENS[0], [], seen),
        "size": Op("content.page", TOKENS[0], wide),
    }


@pytest.mark.parametrize("what", ["size", "keys", "key", "references", "depth"])
def test_what_is_beyond_the_bounds_is_quarantined_and_what_stands_behind_it_is_applied(one, what, capsys):
    """By every replica alike, since it follows from the changeset alone."""
    if what == "depth":
        over = one.make(Op("content.page", TOKENS[0], [Write("authors", None, 0, [])]))
        over = _with_value(one, over, json.dumps(deep(bounds.MAX_DEPTH + 1)))
    else:
        over = one.make(beyond()[what], refs=[bytes(16)])
    receipt = arrive(over, one.make(title(TOKENS[1], "behind")))
    assert (receipt.quarantined, receipt.applied) == (1, 1)
    assert shown() == {TOKENS[1]: "behind"}
    assert reasons("quarantined") == {"too_large": 1}
    assert replayed(capsys)["changesets"][0]["reason"].startswith("too_large: ")
    assert_rows_follow_from_log()


def _with_value(origin: Origin, made: Any, value: str) -> Any:
    """Return the last changeset of ``origin`` with ``value`` in the place of its only one, which stands in the head."""
    import hashlib

    from sync.core import signing
    from sync.core.changeset import decode

    raw = made.raw.replace(b'["authors",null,0', b'["authors",null,' + value.encode())
    origin.made[-1] = decode(raw, signing.sign_changeset(origin.key, hashlib.sha256(raw).digest()))
    return origin.made[-1]


def test_a_value_that_is_nested_too_deep_is_not_shown(one):
    """Whatever walks it, a template or the database, must not fall over it; the registers hold it like any other."""
    arrive(
        one.make(
            title(TOKENS[0], "Deep", model="content.page"),
            Op("content.page", TOKENS[0], [Write("authors", None, deep(200), [])]),
        )
    )
    assert reasons("deferred") == {"not_shown content.page": 1}


def test_nothing_beyond_the_bounds_is_written_here():
    """The transaction that would make it is refused, with what to do."""
    from content.models import Page

    section = Section.objects.create(title="x")
    with pytest.raises(TooLargeError, match="at most 10000"), transaction.atomic():
        Page.objects.create(title="x", section=section, tags=[f"tag{n}" for n in range(bounds.MAX_KEYS + 1)])
    assert not Page.objects.exists()


def test_a_transaction_touches_a_bounded_number_of_rows(one, monkeypatch):
    """Many small ops are cut into batches like many changesets."""
    monkeypatch.setattr(batches, "LOAD", 3)
    frames = [framed(one.make(title(TOKENS[n], "a"), title(TOKENS[n + 1], "b"))) for n in range(4)]
    assert [len(load) for load in batches.loads(iter(frames))] == [2, 2]


def test_a_register_with_a_hundred_thousand_siblings_takes_more_at_once():
    """Who writes to one register again and again without having seen anything slows nobody down to a stop."""
    row = Row(heads={"title": tuple(n.to_bytes(16, "big") for n in range(100_000))})
    start = time.process_time()
    for n in range(1000):
        row.write("title", (n << 64).to_bytes(16, "big"), ())
    assert time.process_time() - start < 8
    assert row.heads["title"] == tuple(sorted(row.heads["title"]))

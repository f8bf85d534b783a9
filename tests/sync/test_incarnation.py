"""A database that was taken back or copied goes on under a new incarnation before its next write; any other goes on as it was."""

import shutil
import threading
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections, transaction

from content.models import Section
from sync import conf, incarnation, keys, local, log, mark, sweep, trusting
from sync.core.changeset import Changeset
from sync.core.policy import Role
from sync.mark import Mark
from sync.models import Entry, Local, Tip
from tests.sync.origins import Origin, arrive, backup, take_back, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "EDGE01-LON-43AX-7K2M9QX1-221126143015"
only_files = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="a file is copied; tests/cluster copies databases of servers"
)


def origin() -> str:
    """Return the incarnation under which this replica writes now."""
    return local.state().incarnation


def save(name: str) -> Changeset:
    """Write a section and return its changeset."""
    Section.objects.create(title=name)
    return [changeset for _, changeset in log.scan()][-1]


def copy_file() -> None:
    """Put a copy of the database file in its place, as an operator does who restores or moves it."""
    connections.close_all()
    file = Path(str(connection.settings_dict["NAME"]))
    for suffix in ("", "-wal", "-shm"):
        if file.with_name(file.name + suffix).exists():
            shutil.copy(file.with_name(file.name + suffix), file.with_name(f"{file.name}{suffix}.new"))
    for suffix in ("", "-wal", "-shm"):
        new = file.with_name(f"{file.name}{suffix}.new")
        if new.exists():
            new.replace(file.with_name(file.name + suffix))


# --- going on as it was ----------------------------------------------------------------------------------------------------------


def test_a_replica_keeps_its_incarnation():
    """One write after another, in one chain; the mark says how many there were."""
    made = [save(f"Number {n}") for n in range(3)]
    assert len({changeset.head.chain for changeset in made}) == 1
    assert [changeset.head.seq for changeset in made] == [1, 2, 3]
    assert mark.read() == Mark(origin(), local.state().written)


def test_a_mark_that_lags_is_no_reason():
    """Killed between the commit and the mark: the mark is behind, and the replica goes on as it was."""
    save("First")
    before = mark.read()
    save("Second")
    mark.write(before)
    assert save("Third").head.seq == 3


@pytest.mark.parametrize("content", [None, b"", b"\0" * 128, b'{"incarnation": 3'], ids=["none", "empty", "zeros", "broken"])
def test_a_mark_that_is_missing_or_broken_is_made_anew(content):
    """A release that kept none, a loss of power: nothing is concluded, and the next write makes it."""
    save("First")
    mark.path().unlink()
    if content is not None:
        mark.path().write_bytes(content)
    assert save("Second").head.seq == 2
    assert mark.read() == Mark(origin(), local.state().written)


def test_a_release_that_kept_no_place_is_taken_over():
    """After the upgrade from such a release the replica goes on as it was."""
    save("First")
    Local.objects.update(place="", key="", written=0, former="")
    mark.path().unlink()
    assert save("Second").head.seq == 2


def test_a_mark_of_the_incarnation_before_is_no_reason():
    """Killed after the commit of a new incarnation and before its mark: one new incarnation is enough."""
    save("First")
    before = mark.read()
    with transaction.atomic():
        incarnation.renew("as a test")
    mark.write(before)
    after = origin()
    save("Second")
    assert origin() == after


def test_a_disk_that_takes_no_mark_keeps_nobody_from_writing(monkeypatch, tmp_path, caplog):
    """The write is acknowledged and there; the log says what is missing."""
    monkeypatch.setattr(mark, "path", lambda: tmp_path / "absent" / "mark.json")
    save("First")
    assert Section.objects.count() == 1
    assert "cannot be written" in caplog.text


# --- taken back ------------------------------------------------------------------------------------------------------------------


def test_a_database_taken_back_goes_on_under_a_new_incarnation(caplog):
    """The numbers that it gave out after the copy was made are not given out again; the log has a warning, the status the origin."""
    save("First")
    copy = backup()
    lost = save("Second")
    take_back(copy)
    assert not Section.objects.filter(title="Second").exists()
    again = save("Third")
    assert again.head.chain != lost.head.chain
    assert again.head.seq == 1
    assert "taken back" in caplog.text


def test_it_does_so_once():
    """What follows is written under the same new incarnation."""
    copy = backup()
    save("Lost")
    take_back(copy)
    assert save("Second").head.chain == save("Third").head.chain


def test_it_is_found_though_what_was_lost_came_back_from_a_peer():
    """Pulled before the first write: the clock is where it was, and still the replica does not go on in its old chain."""
    copy = backup()
    lost = save("Lost")
    take_back(copy)
    before = origin()
    arrive(lost)
    assert Section.objects.filter(title="Lost").exists()
    assert origin() != before
    assert save("Next").head.incarnation not in (before, lost.head.incarnation)


def test_taken_back_before_a_new_incarnation_makes_another():
    """The copy is of the time before a first restore: its incarnation is not taken up again."""
    save("First")
    copy = backup()
    with transaction.atomic():
        incarnation.renew("as a test")
    take_back(copy)
    old = origin()
    assert save("Second").head.incarnation != old


def test_another_database_of_the_same_replica_goes_on_under_a_new_incarnation():
    """A twin's database put in the place of this one: further written, and under an incarnation that nobody here knows."""
    save("First")
    Local.objects.update(incarnation="00000000000000bb", written=1000)
    assert save("Second").head.incarnation != "00000000000000bb"


def test_a_sweep_finds_it_before_anything_is_written():
    """The status shows the new origin as soon as the worker has looked."""
    copy = backup()
    save("Lost")
    take_back(copy)
    before = origin()
    sweep.sweep()
    assert origin() != before


# --- copied ----------------------------------------------------------------------------------------------------------------------


@only_files
def test_a_copied_database_goes_on_under_a_new_incarnation(caplog):
    """The data folder was copied: everything is as in the original, but the file is another."""
    first = save("First")
    copy_file()
    second = save("Second")
    assert second.head.incarnation != first.head.incarnation
    assert "copied or moved" in caplog.text
    assert save("Third").head.chain == second.head.chain


@only_files
def test_of_several_processes_one_makes_the_new_incarnation():
    """Web workers, worker and commands find the same reason at once; all write under the same new incarnation."""
    save("First")
    copy_file()
    start, errors = threading.Barrier(4), []

    def write(name):
        try:
            start.wait(20)
            save(name)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(f"By {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = [changeset.head for _, changeset in log.scan()]
    assert len({head.incarnation for head in found}) == 2
    assert [head.seq for head in found] == [1, 1, 2, 3, 4]


@only_files
def test_a_file_replaced_under_an_open_connection_takes_no_write():
    """What would be written into a file that nobody will find again is refused, and can be tried again."""
    save("First")
    file = Path(str(connection.settings_dict["NAME"]))
    shutil.copy(file, file.with_suffix(".new"))
    kept = file.with_suffix(".kept")
    file.replace(kept)
    file.with_suffix(".new").replace(file)
    try:
        with pytest.raises(OperationalError, match="was replaced"):
            save("Lost")
    finally:
        connections.close_all()
        kept.replace(file)
    save("Second")


def test_another_key_makes_a_new_incarnation():
    """An incarnation is bound to one key for life: with the data folder gone and the database kept, the key is a new one."""
    first = save("First")
    kept = keys.path().read_text()
    try:
        keys.path().unlink()
        keys.forget()
        mark.path().unlink()
        second = save("Second")
        assert second.head.incarnation != first.head.incarnation
        assert save("Third").head.chain == second.head.chain
    finally:
        keys.path().write_text(kept)
        keys.forget()


# --- the proof of a peer ---------------------------------------------------------------------------------------------------------


def twin(**changes) -> Origin:
    """Return another replica that runs under our name, key and incarnation."""
    return Origin(conf.name(), Role.MASTER, "", origin(), **{"key": keys.private(), **changes})


def test_our_own_signature_on_what_is_not_here_is_a_proof(caplog):
    """A twin has written: both branches are kept and count, and the next write goes into a new chain."""
    mine = save("Mine")
    other = twin()
    other.made.clear()
    foreign = other.make(title(TOKEN, "Theirs"))
    assert (foreign.head.seq, foreign.head.chain) == (mine.head.seq, mine.head.chain)
    before = origin()
    assert arrive(foreign).applied == 1
    assert origin() != before
    assert Tip.objects.filter(seq=1).count() == 2
    assert {"Mine", "Theirs"} == set(Section.objects.values_list("title", flat=True))
    assert "a peer holds a changeset" in caplog.text


def test_it_makes_one_new_incarnation_however_much_comes():
    """What follows of the twin, and what came already, is of an incarnation that was left."""
    other = twin()
    foreign = [other.make(title(TOKEN, f"Number {n}")) for n in range(3)]
    arrive(foreign[0])
    after = origin()
    arrive(*foreign)
    assert origin() == after


@pytest.mark.parametrize("claim", ["forged", "cut off"])
def test_without_a_proof_nothing_happens(claim):
    """A signature that is not ours, or a changeset without those before it: refused, and the incarnation stays."""
    save("Mine")
    before = origin()
    other = twin(**({"key": Origin("EDGE09-LON").key} if claim == "forged" else {}))
    foreign = [other.make(title(TOKEN, f"Number {n}")) for n in range(2)]
    receipt = arrive(foreign[0] if claim == "forged" else foreign[1])
    assert receipt.refused == {"bad_signature" if claim == "forged" else "previous_missing": 1}
    assert origin() == before


def test_what_another_replica_wrote_is_no_proof():
    """An incarnation belongs to a name: that of somebody else means nothing, whatever its digits."""
    save("Mine")
    before = origin()
    arrive(Origin("EDGE01-LON", incarnation=before).trust_here().make(title(TOKEN, "Hello")))
    assert origin() == before


def test_what_is_written_under_a_new_incarnation_counts_elsewhere():
    """The trusted list names no incarnation of an open key: all of them count."""
    edge = Origin("EDGE01-LON").trust_here()
    arrive(edge.make(title(TOKEN, "Before")))
    renewed = Origin("EDGE01-LON", incarnation="00000000000000ab", key=edge.key)
    after = renewed.make(title(TOKEN, "After", (0,)), refs=[edge.made[-1].dot])
    assert arrive(after).applied == 1
    assert Section.objects.get(pk=TOKEN).title == "After"
    assert trusting.current().entries["EDGE01-LON"].closed == {}
    assert not Entry.objects.filter(state=Entry.State.QUARANTINED).exists()

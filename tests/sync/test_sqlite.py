"""What SQLite is asked to do, it does: durable, one writer at a time, narrow tables without a hidden number."""

import sqlite3
from pathlib import Path

import pytest
from django.db import OperationalError, connection, transaction

from content.models import Page, Section
from content.publishing import publish
from sync import registers
from sync.db.sqlite3.base import DatabaseWrapper
from sync.db.sqlite3.turnstile import Turnstile
from sync.models import Register
from sync.registry import all_specs
from tests.sync.origins import assert_rows_follow_from_log, rows

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="this is about SQLite"),
]

WANTED = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": 20000,
    "page_size": 8192,
    "auto_vacuum": 2,
    "wal_autocheckpoint": 4000,
}


@pytest.mark.parametrize(("pragma", "value"), WANTED.items())
def test_each_pragma_took_effect(pragma, value):
    """Asked of the open connection, not read from the settings."""
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")
        assert cursor.fetchone()[0] == value


def test_a_transaction_takes_the_write_lock_when_it_begins():
    """It never fails half way for want of it."""
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0)
    try:
        with transaction.atomic():
            Section.objects.exists()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
    finally:
        other.close()


@pytest.fixture
def own(tmp_path):
    """A connection to a file of its own, as a thread that answers requests has one."""
    made = DatabaseWrapper({**connection.settings_dict, "NAME": str(tmp_path / "own.sqlite3")}, alias="own")
    with made.cursor() as cursor:
        cursor.execute("CREATE TABLE held (name text)")
    yield made
    made.close()


def names(own):
    """Return the names in the file that stands there now, read as a request would read them."""
    own.close_if_unusable_or_obsolete()
    with own.cursor() as cursor:
        cursor.execute("SELECT name FROM held")
        found = [name for (name,) in cursor.fetchall()]
    own.close_if_unusable_or_obsolete()
    return found


def test_a_thread_keeps_its_connection_from_one_request_to_the_next(own):
    """It is not opened anew for each."""
    before = own.connection
    assert names(own) == [] and names(own) == []
    assert own.connection is before


def test_the_next_request_after_a_mistake_has_a_new_connection(own):
    """Whatever was wrong with the old one."""
    before = own.connection
    with pytest.raises(OperationalError), own.cursor() as cursor:
        cursor.execute("SELECT name FROM nowhere")
    assert names(own) == [] and own.connection is not before


def test_the_next_request_reads_the_file_that_was_put_in_the_place_of_another(own, tmp_path):
    """Nobody goes on with one that is not there any more."""
    assert names(own) == []
    with sqlite3.connect(tmp_path / "other.sqlite3") as other:
        other.executescript("CREATE TABLE held (name text); INSERT INTO held VALUES ('other')")
    other.close()
    for rest in tmp_path.glob("own.sqlite3-*"):
        rest.unlink()
    (tmp_path / "other.sqlite3").replace(tmp_path / "own.sqlite3")
    assert names(own) == ["other"]


def sql_of(table):
    """Return the statement that made a table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s", [table])
        return cursor.fetchone()[0]


def test_narrow_replicated_tables_are_without_rowid():
    """Those that ask for it have no hidden number; wide ones keep it, which nothing reads."""
    narrow = {spec.label for spec in all_specs() if getattr(spec.model, "without_rowid", False)}
    assert "content.redirect" in narrow and "content.section" not in narrow
    for spec in all_specs():
        assert sql_of(spec.table).rstrip().endswith("WITHOUT ROWID") == (spec.label in narrow), spec.label
    assert sql_of(Register._meta.db_table).rstrip().endswith("WITHOUT ROWID")


def test_no_replicated_table_has_an_integer_key():
    """The key of every replicated row is its token."""
    for spec in all_specs():
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA table_info({spec.table})")
            keys = [(name, kind) for _, name, kind, _, _, is_key in cursor.fetchall() if is_key]
        assert keys == [("token", "varchar(64)")], spec.label


def test_vacuum_that_renumbers_changes_nothing():
    """The hidden numbers of wide tables move; rows, registers and digest are what they were."""
    section = Section.objects.create(title="News")
    pages = [Page.objects.create(title=f"Page {number}", section=section) for number in range(20)]
    for page in pages:
        publish(page)
    for page in pages[::2]:
        page.delete()

    def hidden():
        with connection.cursor() as cursor:
            cursor.execute("SELECT rowid, token FROM content_page ORDER BY token")
            return cursor.fetchall()

    before, numbers = (rows(), registers.digest()), hidden()
    with connection.cursor() as cursor:
        # VACUUM is free to renumber, and the SQLite at hand may not: so the numbers are moved by hand as well.
        for spec in all_specs():
            if not getattr(spec.model, "without_rowid", False):
                cursor.execute(f"UPDATE {spec.table} SET rowid = rowid + 100000")
        cursor.execute("VACUUM")
    assert hidden() != numbers
    assert (rows(), registers.digest()) == before
    assert_rows_follow_from_log()
    Page.objects.create(title="After", section=section)
    assert_rows_follow_from_log()


def test_opening_the_database_writes_nothing():
    """A connection is opened for each request: readers take no lock, wait for no disk, and are served where that is full."""
    log = Path(f"{connection.settings_dict['NAME']}-wal")
    connection.ensure_connection()
    before = log.stat().st_mtime_ns, log.stat().st_size, log.read_bytes()
    other = connection.copy()
    other.ensure_connection()
    assert other.connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    assert (log.stat().st_mtime_ns, log.stat().st_size, log.read_bytes()) == before
    other.close()


def test_a_database_in_memory_takes_no_turns(tmp_path, monkeypatch):
    """It is nobody else's: no file is left where the program happens to run, and no other database in memory waits for it."""
    monkeypatch.chdir(tmp_path)
    memory = DatabaseWrapper({**connection.settings_dict, "NAME": ":memory:"}, alias="memory")
    memory.connect()
    memory.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert not memory.turnstile.has_turn
    assert not [path for path in tmp_path.iterdir() if "memory" in path.name]


def test_a_turn_is_given_back_however_a_transaction_ends():
    """By its commit and by an error in it; and a read outside of one takes none."""

    def is_free():
        other = Turnstile(Path(connection.settings_dict["NAME"]))
        other.enter()
        try:
            return other.has_turn
        finally:
            other.close()

    with transaction.atomic():
        assert connection.turnstile.has_turn
    assert is_free()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    assert is_free()
    Section.objects.count()
    assert not connection.turnstile.has_turn

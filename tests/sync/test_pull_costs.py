"""What a pull costs: statements by the batch, memory by the batch, and nothing for what is there already."""

from __future__ import annotations

import sqlite3
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from bench.author import Author, frames
from bench.records import records
from content.models import Section
from sync import batches, exchange, receive, status, trust_admin, trusting
from sync.core import signing, wire
from sync.core.policy import Role
from sync.db import checkpoints
from sync.models import Segment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def origin() -> Callable[[str], Author]:
    """What makes an edge that is trusted here."""

    def make(name: str) -> Author:
        made = Author(name)
        trust_admin.trust(name, Role.EDGE, "thames", f"http://{name.lower()}", made.public)
        return made

    return make


@contextmanager
def counted() -> Iterator[list[str]]:
    """Yield the statements that run within."""
    found: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


@contextmanager
def steps() -> Iterator[list[int]]:
    """Yield a list to which each hundred steps of SQLite's machine within add one: a measure of what is read, without a clock."""
    found = [0]

    def note() -> int:
        found[0] += 1
        return 0

    if connection.vendor == "sqlite":
        connection.ensure_connection()
        connection.connection.set_progress_handler(note, 100)
    try:
        yield found
    finally:
        if connection.vendor == "sqlite":
            connection.connection.set_progress_handler(None, 0)


@pytest.fixture
def at_once(monkeypatch):
    """Let what is received be one batch, whatever the clock says."""
    for bound in ("FIRST", "LOAD", "PATIENCE"):
        monkeypatch.setattr(batches, bound, 1 << 30)


def take(stream: list[bytes]) -> receive.Receipt:
    return receive.receive(wire.frames(iter(stream)))


def test_a_batch_of_500_changesets_costs_the_statements_of_one_of_50(origin, at_once):
    """New rows, and changes of them; a changeset is a row of an executemany or a place in a list."""
    found: dict[str, list[int]] = {}
    for count in (50, 500):
        edge = origin(f"EDGE{count}-LON")
        for kind in ("insert", "update"):
            stream = list(frames(getattr(edge, kind)(records(count, seed=count))))
            with counted() as statements:
                assert take(stream).applied == count
            found.setdefault(kind, []).append(len(statements))
    assert found["insert"][0] == found["insert"][1] and found["update"][0] == found["update"][1]
    assert max(found["insert"] + found["update"]) < 60, found


def test_one_signature_of_each_origin_is_verified_in_a_batch(origin, at_once, monkeypatch):
    """It vouches for all that it follows."""
    verified = []
    real = signing.is_signed_by
    monkeypatch.setattr(signing, "is_signed_by", lambda *args: verified.append(1) or real(*args))
    parts = [list(frames(origin(f"EDGE0{n}-LON").insert(records(60, seed=n)), most=20)) for n in (1, 2, 3)]
    assert take([frame for group in zip(*parts, strict=True) for frame in group]).applied == 180
    assert len(verified) == 3


def test_what_came_is_passed_on_byte_for_byte(origin):
    """On the second hop a frame is the one of the first: nobody packs anew, or even decodes, what goes through."""
    edge = origin("EDGE01-LON")
    stream = list(frames(edge.insert(records(90)), most=30))
    take(stream)
    me = trusting.me()
    sent = [frame.raw for frame in wire.frames(exchange.stream([], me, me))]
    assert [raw for raw in sent if raw in stream] == stream
    assert [bytes(raw) for raw in Segment.objects.order_by("pk").values_list("frame", flat=True)][-3:] == stream


def test_of_a_frame_that_a_peer_has_in_part_only_the_rest_is_sent(origin):
    """Its lines as they are, in a frame of their own."""
    edge = origin("EDGE01-LON")
    made = list(edge.insert(records(30)))
    take(list(frames(made)))
    me = trusting.me()
    held = [exchange.TipAt(made[9].head.chain, made[9].head.seq, made[9].dot)]
    sent = [c for frame in wire.frames(exchange.stream(held, me, me)) for c in frame.changesets if c.head.name == edge.name]
    assert [(c.raw, c.signature, c.values) for c in sent] == [(c.raw, c.signature, c.values) for c in made[10:]]


def test_memory_is_bounded_however_long_the_stream(origin, monkeypatch):
    """Of both sides: 2,500 records take no more than 500 do, but for a little."""
    monkeypatch.setattr(batches, "LOAD", 200)
    edge, peaks, me = origin("EDGE01-LON"), [], trusting.me()
    take(list(frames(edge.insert(records(200)))))  # what is made once
    for count in (500, 2_500):
        stream = list(frames(edge.insert(records(count, seed=count))))
        tracemalloc.start()
        take(stream)
        received = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(1 for _ in exchange.stream([], me, me)) > count // 200
        peaks.append((received, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    for few, many in zip(*peaks, strict=True):
        assert many - few < 2_000_000, peaks


def test_a_long_pull_makes_its_checkpoints_between_transactions(origin, monkeypatch):
    """Who waits for the turn to write waits for none of them, and the log is copied as a whole; afterwards commits make them again."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has a process for checkpoints")
    monkeypatch.setattr(batches, "LOAD", 50)
    stream, ours, within = list(frames(origin("EDGE01-LON").insert(records(400)), most=25)), connections["default"], []

    def copy(name: str) -> None:
        with closing(sqlite3.connect(name)) as opened:
            busy, size, copied = opened.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        time.sleep(0.01)  # in which who does not wait begins the next transaction
        within.append((ours.in_atomic_block, busy, size - copied))

    monkeypatch.setattr(checkpoints, "_copy", copy)
    with CaptureQueriesContext(connection) as found:
        take(stream)
    assert within == [(False, 0, 0)] * 4
    said = [query["sql"] for query in found]
    assert "PRAGMA wal_autocheckpoint = 0" in said and said[-1] == "PRAGMA wal_autocheckpoint = 4000"


def test_a_checkpoint_that_fails_is_told_of_like_any_statement(origin, monkeypatch):
    """A full disk is met by the same words wherever it is met."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has a process for checkpoints")
    monkeypatch.setattr(batches, "LOAD", 50)

    def copy(name: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(checkpoints, "_copy", copy)
    with pytest.raises(OperationalError, match="disk is full"):
        take(list(frames(origin("EDGE01-LON").insert(records(200)), most=25)))


def test_a_pull_costs_what_is_missing_and_not_what_is_there(origin, at_once):
    """The same statements on both sides, and in SQLite the same steps, over 200 rows and over 3,000."""
    edge, found, me = origin("EDGE01-LON"), [], trusting.me()
    for there in (200, 3_000):
        take(list(frames(edge.insert(records(there - Section.objects.count(), seed=there)))))
        have = exchange.tips_between(me, me)
        new = list(frames(edge.insert(records(20, seed=there + 1))))
        with counted() as received, steps() as read:
            assert take(new).applied == 20
        with counted() as sent, steps() as sought:
            assert sum(len(frame.changesets) for frame in wire.frames(exchange.stream(have, me, me))) == 20
        found.append((len(received), len(sent), read[0], sought[0]))
    few, many = found
    assert few[:2] == many[:2], found
    assert all(b <= a * 1.3 + 20 for a, b in zip(few[2:], many[2:], strict=True)), found


def test_the_status_does_not_read_the_rows(origin, at_once):
    """The same statements, and in SQLite the same steps, over 200 rows and over 3,000."""
    edge, found = origin("EDGE01-LON"), []
    for there in (200, 3_000):
        take(list(frames(edge.insert(records(there - Section.objects.count(), seed=there)))))
        status.status()
        with counted() as statements, steps() as read:
            assert status.status()["conflicts"] == 0
        found.append((len(statements), read[0]))
    (before, few), (after, many) = found
    assert before == after and many <= few * 1.3 + 2, found

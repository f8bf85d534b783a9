"""``sync_verify PEER``: between two real replicas, exactly the rows that differ, and why, in few requests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.acts import orm, pull
from tests.cluster.harness import Cluster, Replica

pytestmark = pytest.mark.cluster

MAKE = """
from content.models import Section
made = Section.objects.bulk_create(Section(title=f"Section {n}", slug=f"s-{n}", description="d" * 80) for n in range(1000))
answer = [section.token for section in made]
"""
TAMPER = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("UPDATE content_section SET title = %s WHERE token = %s", [title, token])
"""
DELETE = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("DELETE FROM content_section WHERE token = %s", [token])
"""
INSERT = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT * FROM content_section WHERE token = %s", [token])
    row = dict(zip([column[0] for column in cursor.description], cursor.fetchone()))
    row.update(token=new, title=title, slug=new.lower())
    holes = ", ".join(["%s"] * len(row))
    cursor.execute(f"INSERT INTO content_section ({', '.join(row)}) VALUES ({holes})", list(row.values()))
"""
EDIT = "from content.models import Section; Section.objects.filter(pk=token).update(title=title)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A master with 1,000 sections, and an edge that has pulled them."""
    with Cluster(tmp_path_factory.mktemp("verify")) as cluster:
        master, edge = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", "thames")
        cluster.prepare()
        tokens = orm(master, MAKE)
        master.start_web()
        pull(edge)
        yield master, edge, tokens


def compared(replica: Replica, peer: Replica) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Return the differences, and what the report says of the peer."""
    report = replica.manage("sync_verify", peer.name, parse=True)
    assert "ok" in report.answer, report.answer
    assert report.code == (0 if report.answer["ok"] else 1), report.stderr
    names = ("what", "token", "field", "here", "there", "why")
    return [tuple(d.get(name) for name in names) for d in report.answer["differences"]], report.answer["peer"]


def test_equal_replicas_are_found_equal_in_few_requests(site):
    """Every row is compared, and nothing is said of any."""
    master, edge, _ = site
    found, peer = compared(edge, master)
    assert found == []
    assert (peer["behind"], peer["ahead"]) == (0, 0) and peer["requests"] <= 4


def test_a_row_altered_at_the_peer_is_the_one_that_is_named(site):
    """By raw SQL there; here nothing is wrong. Taken back, nothing is found."""
    master, edge, tokens = site
    orm(master, TAMPER, token=tokens[654], title="Altered")
    found, peer = compared(edge, master)
    assert found == [("row", tokens[654], "title", "Section 654", "Altered", "differs")]
    assert peer["requests"] <= 9
    orm(master, TAMPER, token=tokens[654], title="Section 654")
    assert compared(edge, master)[0] == []


def test_rows_that_were_deleted_or_inserted_at_the_peer_are_named(site):
    """By raw SQL there, and one inserted here as well: each by itself, and no other row."""
    master, edge, tokens = site
    orm(master, DELETE, token=tokens[321])
    orm(master, INSERT, token=tokens[5], new="MASTER01-LON-43AX-0000000S-261124100000", title="Nobody's")
    orm(edge, INSERT, token=tokens[6], new="EDGE01-LON-43AX-0000000T-261124100000", title="Nobody's either")
    found, _ = compared(edge, master)
    by_peer = sorted((token, field, here is None, there is None, why) for _, token, field, here, there, why in found if why)
    assert by_peer == sorted(
        [
            ("EDGE01-LON-43AX-0000000T-261124100000", None, False, True, "differs"),
            ("MASTER01-LON-43AX-0000000S-261124100000", None, True, False, "differs"),
            (tokens[321], None, False, True, "differs"),
        ]
    )
    assert [row[1] for row in found if not row[5]] == ["EDGE01-LON-43AX-0000000T-261124100000"]  # against the log here
    for replica in (master, edge):
        assert replica.manage("sync_verify", "--repair", parse=True).answer["repaired"] > 0
    assert compared(edge, master)[0] == []


def test_a_row_altered_here_is_named_against_the_log_and_against_the_peer(site):
    """Both say the same; put right from the log, both are content."""
    master, edge, tokens = site
    orm(edge, TAMPER, token=tokens[7], title="Altered")
    found, _ = compared(edge, master)
    assert [row[:5] for row in found] == [("row", tokens[7], "title", "Altered", "Section 7")] * 2
    assert edge.manage("sync_verify", "--repair", parse=True).answer["repaired"] == 1
    assert compared(edge, master)[0] == []


def test_who_has_not_all_yet_is_told_from_who_is_wrong(site):
    """Rows that the other side wrote, or this one, are named as behind and ahead; after an exchange nothing is left."""
    master, edge, tokens = site
    orm(master, EDIT, token=tokens[1], title="From the master")
    orm(edge, EDIT, token=tokens[2], title="From the edge")
    orm(edge, EDIT, token=tokens[3], title="From the edge")
    orm(master, EDIT, token=tokens[3], title="From the master")
    found, peer = compared(edge, master)
    assert sorted((token, field, why) for _, token, field, _, _, why in found) == sorted(
        [(tokens[1], "title", "behind"), (tokens[2], "title", "ahead"), (tokens[3], "title", "apart")]
    )
    assert (peer["behind"], peer["ahead"]) == (2, 2)
    pull(edge)
    assert {(token, why) for _, token, _, _, _, why in compared(edge, master)[0]} == {
        (tokens[2], "ahead"),
        (tokens[3], "ahead"),
    }


def test_an_unknown_or_forbidden_peer_is_refused_before_anything_is_sent(site):
    """With the code that says why."""
    _, edge, _ = site
    answer = edge.manage("sync_verify", "EDGE09-LON", parse=True).answer
    assert (answer["ok"], answer["differences"], answer["error"]["code"]) == (False, [], "replica_unknown")
    assert edge.manage("sync_verify", "nobody").code == 2

"""``sync_verify``: what was done behind the back of the ORM is named, row by row and field by field; and nothing else is."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from content.models import Block, Page, Section, Submission
from content.publishing import publish
from sync import derived, ranges, registers, trust_admin
from sync.compare import compare
from sync.core.errors import MalformedError, NeedsOperatorError
from sync.core.policy import Party, Role
from sync.models import Claim, Digest, Register
from sync.peers import Listed
from sync.repair import repair
from sync.verify import verify
from tests.sync.origins import Origin, arrive, state, title
from tests.sync.test_receive import KEYS, TOKENS, _interleaved, _replay, histories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tide():
    """A published page with two blocks, in a section."""
    section = Section.objects.create(title="Tides")
    page = Page.objects.create(title="Low tide", section=section, summary="s" * 100, tags=["river"], authors=["Ada"])
    for ordering in "VX":
        Block.objects.create(parent=page, type="richtext", data={"html": f"<p>{ordering * 80}</p>"}, ordering=ordering)
    publish(page, author="ada")
    page.title = "Lower tide"
    page.save()
    return page


def tamper(statement: str, *values: object) -> None:
    """Change the database as nobody should."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


def found() -> list[tuple[str, str, str, str | None]]:
    """Return what ``sync_verify`` names, without its values."""
    return [(d.what, d.model, d.token, d.field) for d in verify()]


@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_nothing_is_found_where_nobody_tampered(data):
    """Whatever came in whatever order, the tables are what the log says."""
    made = _interleaved(data, data.draw(histories()))
    _replay(made, data.draw(st.sets(st.integers(0, len(made)))))
    assert list(verify()) == []


def test_what_was_overwritten_before_it_came_is_no_difference(tide):
    """The registers remember it as gone until it comes, and forget it then, also if it is named again; the log says the same."""
    one, two = (Origin(f"EDGE0{n}-LON", key=KEYS[n]).trust_here() for n in (1, 2))
    first = one.make(title(TOKENS[0], "first"))
    second = two.make(title(TOKENS[0], "second", (0,)), refs=[first.dot])
    other = one.make(title(TOKENS[0], "other", (0,)), refs=[first.dot])
    for changeset in (second, first, other):
        arrive(changeset)
        assert found() == []


def test_a_changed_field_is_named_with_both_values(tide):
    """Exactly the row and the field, as it stands here and as the log has it."""
    tamper("UPDATE content_page SET title = 'High tide' WHERE token = %s", tide.token)
    (one,) = verify()
    assert (one.what, one.model, one.token, one.field) == ("row", "content.page", tide.token, "title")
    assert (one.here, one.there) == ("High tide", "Lower tide")


def test_a_row_that_was_deleted_and_one_that_was_inserted_are_named(tide):
    """Both as whole rows: absent here, or absent in the log."""
    block, made = Block.objects.order_by("ordering").first(), "EDGE09-LON-43AX-7K2M9QX9-221126143015"
    tamper("DELETE FROM content_block WHERE token = %s", block.token)
    tamper("UPDATE content_section SET token = %s", made)
    assert sorted(found()) == [
        ("row", "content.block", block.token, None),
        ("row", "content.section", made, None),
        ("row", "content.section", tide.section_id, None),
    ]


def test_a_column_that_cannot_even_be_read_is_named(tide):
    """A row that no query of the ORM could load is reported, not stumbled over."""
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL takes no such value")
    tamper("UPDATE content_page SET date = '2026-13-45 00:00:00' WHERE token = %s", tide.token)
    (one,) = verify()
    assert (one.field, one.here) == ("date", "unreadable: '2026-13-45 00:00:00'")


def test_registers_digest_and_claims_are_compared_too(tide):
    """A head that was taken away, registers of a row that nobody wrote, a digest, a claim: each is named as what it is."""
    key = registers.RowKey("content.page", tide.token)
    other = Register.objects.get(key=registers.RowKey("content.section", tide.section_id).stored)
    tamper("UPDATE sync_register SET state = %s WHERE key = %s", other.state, key.stored)
    assert {(d.what, d.token, d.field) for d in verify()} >= {("registers", tide.token, "summary")}
    tamper("UPDATE sync_register SET state = %s WHERE key = %s", b"no state", key.stored)
    assert found() == [("registers", "content.page", tide.token, None)]
    Register.objects.filter(key=key.stored).delete()
    assert found() == [("registers", "content.page", tide.token, None)]
    Register.objects.create(key="~x sync.none", model="sync.none", token="x", scope="all", state=b"", alive=True)
    Digest.objects.filter(scope="all").update(value=bytes(32))
    Claim.objects.filter(token=tide.section_id).delete()
    Claim.objects.create(model="content.page", value="mine", name="mine", token=tide.token, ms=1, counter=0, dot=bytes(16))
    assert found() == [
        ("registers", "content.page", tide.token, None),
        ("registers", "sync.none", "x", None),
        ("claim", "content.page", tide.token, None),
        ("claim", "content.section", tide.section_id, None),
        ("digest", "", "all", None),
    ]


def test_a_claim_under_another_name_is_named(tide):
    """Also where nothing else is wrong: an address would lead astray."""
    Claim.objects.filter(token=tide.section_id).update(name="elsewhere-43ax")
    (one,) = [d for d in verify() if d.what == "claim"]
    assert (one.token, one.here["name"], one.there["name"]) == (tide.section_id, "elsewhere-43ax", one.here["value"])
    repair(list(verify()))
    assert found() == []


def test_verifying_changes_nothing_and_repair_puts_everything_right(tide, capsys):
    """Rows, registers, claims and digest are again what they were; local columns and the log are left alone."""
    before = state(), list(Register.objects.order_by("key").values_list()), sorted(Claim.objects.values_list("value", "token"))
    block = Block.objects.order_by("ordering").first()
    tamper("UPDATE content_page SET title = 'High tide', summary = '' WHERE token = %s", tide.token)
    tamper("DELETE FROM content_block WHERE token = %s", block.token)
    tamper("UPDATE content_section SET token = 'EDGE09-LON-43AX-7K2M9QX9-221126143015'")
    Register.objects.filter(model="content.publication").delete()
    Claim.objects.filter(token=tide.section_id).delete()
    tampered = state()
    with pytest.raises(SystemExit, match="1"):
        call_command("sync_verify", "--json")
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"] and {d["token"] for d in report["differences"]} >= {tide.token, block.token, tide.section_id}
    assert state() == tampered
    call_command("sync_verify", "--repair", "--json")
    assert json.loads(capsys.readouterr().out) == {"ok": True, "differences": [], "repaired": 5}
    assert (
        state(),
        list(Register.objects.order_by("key").values_list()),
        sorted(Claim.objects.values_list("value", "token")),
    ) == before


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        ("EDGE01-LON", "peer_unavailable"),
        ("EDGE02-LON", "replica_unknown"),
        ("EDGE03-LON", "replica_unknown"),
        ("EDGE04-LON", "needs_operator"),
        ("EDGE05-LON", "peer_unavailable"),
    ],
    ids=["dead", "revoked", "unknown", "without an address", "at none"],
)
def test_own_log_is_verified_also_where_the_peer_does_not_answer(tide, capsys, peer, code):
    """One object: not ok, what differs from the log here, and why there is no word of the peer; a line for each."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        Origin("EDGE01-LON").trust_here(f"http://127.0.0.1:{closed.getsockname()[1]}")
    Origin("EDGE02-LON").trust_here()
    trust_admin.revoke("EDGE02-LON")
    Origin("EDGE04-LON").trust_here("")
    Origin("EDGE05-LON").trust_here("http://a b")
    for differences in (0, 1):
        if differences:
            tamper("UPDATE content_page SET title = 'High tide' WHERE token = %s", tide.token)
        with pytest.raises(SystemExit, match="1"):
            call_command("sync_verify", peer, "--json")
        said = capsys.readouterr()
        report = json.loads(said.out)
        assert (report["ok"], len(report["differences"]), report["error"]["code"]) == (False, differences, code)
        *_, last = lines = said.err.splitlines()
        assert len(lines) == differences + 1 and last == f"{code}: {report['error']['detail']}"


def test_a_row_brought_back_by_hand_under_a_deleted_page_is_put_right():
    """A dead block that stands in its table again does not bring its page back to life."""
    page = Page.objects.create(title="Gone", section=Section.objects.create(title="S"))
    block = Block.objects.create(parent=page, type="richtext", data={"html": "x"}, ordering="V")
    row = Block.objects.filter(pk=block.pk).values().get()
    token = block.token
    block.delete()
    page.delete()
    with connection.cursor() as cursor:
        names = list(row)
        values = [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
        marks = ", ".join(["%s"] * len(names))
        cursor.execute(f"INSERT INTO content_block ({', '.join(names)}) VALUES ({marks})", values)
    assert found() == [("row", "content.block", token, None)]
    repair(list(verify()))
    assert found() == [] and not Page.objects.exists()


def test_what_waits_for_an_upgrade_is_no_difference():
    """A row of an unknown model, and one whose value does not fit, are deferred; they are not called wrong."""
    edge = Origin("EDGE01-LON", key=KEYS[0]).trust_here()
    arrive(edge.make(title(TOKENS[0], "x" * 500)), edge.make(title(TOKENS[1], "x", model="later.model")))
    assert Register.objects.filter(projected=False).count() == 2
    assert found() == []


def test_memory_holds_a_page_of_rows_at_a_time(monkeypatch):
    """With pages of two rows the result is the same: nothing hangs on all being at hand."""
    monkeypatch.setattr(derived, "PAGE", 2)
    sections = [Section.objects.create(title=f"Section {number}") for number in range(5)]
    assert found() == []
    tamper("UPDATE content_section SET title = '' WHERE token = %s", sections[3].token)
    assert [token for _, _, token, _ in found()] == [sections[3].token]


class OldRelease(BaseHTTPRequestHandler):
    """Answers as a replica does that has no such address."""

    def do_POST(self) -> None:
        body = b'{"code": "not_found", "detail": "no such address"}'
        self.send_response(404)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_peer_of_an_older_release_is_told_apart_from_one_that_differs():
    """It has no such endpoint: the operator is told to upgrade it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OldRelease)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        peer = Listed("MASTER02-LON", f"http://127.0.0.1:{server.server_port}", "", Party(Role.MASTER))
        with pytest.raises(NeedsOperatorError, match="MASTER02-LON runs a release that cannot be compared with; upgrade it"):
            compare(peer)
    finally:
        server.shutdown()
        server.server_close()


def answered(**body: object) -> dict[str, Any]:
    """Return what the server answers an edge of this master, for the models that both know."""
    fields = ranges.own_fields()
    me, peer = Party(Role.MASTER), Party(Role.EDGE, "thames")
    if "ranges" in body:
        return {"ranges": ranges.answer(ranges.asked(body["ranges"]), me, peer, fields)}
    return {"rows": ranges.named(ranges.names(body["rows"]), me, peer, fields)}


def test_rows_of_another_farm_are_not_shown_to_a_peer(tide):
    """Neither in a sum nor by name: only what both sides may hold is compared."""
    mine, other = (Submission.objects.create(page=tide, form="contact", data={}, farm=farm) for farm in ("thames", "cam"))
    (answer,) = answered(ranges=[["", None, ""]])["ranges"]
    tokens = {token for _, token, _ in answer["terms"]}
    assert mine.token in tokens and other.token not in tokens
    rows = answered(rows=[["content.submission", mine.token], ["content.submission", other.token]])["rows"]
    assert rows[0]["row"]["form"] == "contact" and rows[1] is None


def test_more_than_fits_one_request_is_cut_and_asked_again(monkeypatch, tide):
    """A request reads a bounded number of rows; what it has not read, it says so."""
    Section.objects.bulk_create(Section(title=str(number), slug=f"s-{number}") for number in range(60))
    monkeypatch.setattr(ranges, "BUDGET", 40)
    first, second = answered(ranges=[["", "5", ""], ["", None, ""]])["ranges"]
    assert len(first["cuts"]) > 10 and second == {"cuts": []}


@pytest.mark.parametrize("value", [7, [7], [["", None]], [[7, None, ""]], [["x" * 500, None, ""]], [["\x00", None, ""]]])
def test_what_is_no_range_is_malformed(value):
    """A peer that asks nonsense is told so."""
    with pytest.raises(MalformedError):
        ranges.asked(value)
    with pytest.raises(MalformedError):
        ranges.names(value)

"""What docs/sync-protocol.md says is true: its examples to the byte, its tables of endpoints, codes and models in full."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import admission, http_signatures, invites, urls
from sync.core import changeset as core
from sync.core import errors, policy, signing, wire
from sync.core.trust import parse_entry
from sync.ends import summary
from sync.exchange import tips_from_json
from sync.registry import all_specs
from tests.protocol import client, page
from tests.protocol.changesets import Changeset, frames, sha256
from tests.protocol.store import Store

KEYS = page.words("keys")
EDGE = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["EDGE09-LON private"]))
SYNC = page.TOP / "sync"

every_changeset = pytest.mark.parametrize(
    ("name", "origin"), [("page", "EDGE09-LON"), ("title", "EDGE09-LON"), ("trust", "MASTER01-LON")]
)


def of_page(name: str) -> Changeset:
    """Return a changeset of the page as the independent client has it."""
    values = [page.example(f"{name}-value").encode()] if f"example: {name}-value" in page.TEXT else []
    head = page.example(name).encode()
    signature = base64.b64decode(page.words(f"{name}-id")["signature"])
    return Changeset(head, signature, {sha256(value): value for value in values})


def test_keys_are_those_of_the_rfc() -> None:
    """Each public key of the page belongs to its private key."""
    for name in ("MASTER01-LON", "EDGE09-LON"):
        private = Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(KEYS[next(k for k in KEYS if k.split() == [name, "private"])])
        )
        assert signing.key_text(private.public_key()) == KEYS[next(k for k in KEYS if k.split() == [name, "public"])]


@every_changeset
def test_example_changesets_are_true(name: str, origin: str) -> None:
    """Id, dot and signature of each example follow from its bytes, for the program and for the independent client alike."""
    mine, given = of_page(name), page.words(f"{name}-id")
    theirs = core.decode(mine.raw, mine.signature, mine.values.values())
    assert (theirs.id.hex(), theirs.dot.hex(), mine.dot) == (given["id"], given["dot"], given["dot"])
    assert hashlib.sha256(mine.raw).hexdigest() == given["id"]
    assert signing.is_signed_by(signing.parse_key(KEYS[f"{origin} public"]), theirs.id, theirs.signature)
    assert mine.is_signed_by(KEYS[f"{origin} public"])
    assert theirs.is_complete and not mine.lacking()


@every_changeset
def test_program_writes_the_bytes_of_the_page(name: str, origin: str) -> None:
    """The program's own encoding of each example gives its bytes; so the page shows heads as they are met."""
    mine = of_page(name)
    assert core.encode(core.decode(mine.raw, mine.signature).head) == mine.raw


def test_example_of_a_chain_is_true() -> None:
    """The summary of the page follows from its tips, by both implementations."""
    given = page.words("summary")
    tips = json.loads(given["tips"])
    assert summary(tips_from_json(tips)) == given["summary"]
    assert hashlib.sha256(f"{given['line']}\n".encode()).hexdigest() == given["summary"]
    assert tips[0][4] == of_page("title").dot


def test_example_frame_holds_the_example() -> None:
    """The frame of the page decompresses to the first changeset, by both implementations."""
    raw = base64.b64decode(page.example("frame").replace("\n", ""))
    (theirs,) = wire.parse(raw, wire.unpack(raw)).changesets
    (frame,) = frames([raw])
    assert theirs.raw == of_page("page").raw
    assert frame.changesets == [of_page("page")]


def test_example_request_is_true() -> None:
    """The request of the page is what a client makes of it, its signature base is the one signed, and the program verifies it."""
    head, _, body = page.example("request").partition("\n\n")
    first, *lines = head.splitlines()
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    parameters = headers["signature-input"].removeprefix("sync=")
    assert client.signature_base(method, target, headers, parameters).decode() == page.example("signature-base")
    plain = {name: headers[name] for name in ("content-type", "sync-replica", "sync-audience")}
    created, nonce = re.search(r"created=(\d+);.*nonce=\"([^\"]+)\"", parameters).groups()  # type: ignore[union-attr]
    made = client.sign(EDGE, method, target, body.encode(), plain, int(created), nonce)
    assert made == {name: headers[name] for name in made}
    message = http_signatures.Message(method, f"http://any{target}", headers)
    assert http_signatures.verify(message, body.encode(), signing.key_text(EDGE.public_key())) == (int(created), nonce)


def test_example_of_trust_is_an_entry() -> None:
    """The entry of the page is read by the program, and lets its subject in under the root of the page."""
    entry = parse_entry(json.loads(page.example("trust-value")))
    assert entry.open is not None and entry.open.key == signing.key_text(EDGE.public_key())
    store = Store(("edge", "thames"), "MASTER01-LON", KEYS["MASTER01-LON public"])
    assert store.take([of_page("title"), of_page("page"), of_page("trust")]) == 2, "what comes before its prev is refused"
    assert dict(store.refused) == {"previous_missing": 1}


def test_example_invitation_is_one() -> None:
    """The code of the page is read by the program as the fields that the page gives."""
    code = invites.Code.decode(page.example("invitation"))
    assert list(asdict(code).values()) == json.loads(page.example("invitation-fields"))
    assert code.root_key == KEYS["MASTER01-LON public"] and code.encode() == page.example("invitation")


def test_every_endpoint_is_described() -> None:
    """The headings under Endpoints are exactly the addresses of sync/urls.py, with the methods that are answered."""
    described = {(method, path) for method, path in re.findall(r"^### ([A-Z]+) (/sync/\S+)$", page.TEXT, re.MULTILINE)}
    answered = set()
    for pattern in urls.urlpatterns:
        path = "/" + re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", str(pattern.pattern)).lstrip("^").rstrip("$")
        view = pattern.callback.cls  # type: ignore[union-attr]
        answered |= {(method, path) for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if hasattr(view, method.lower())}
    assert described == answered


def test_every_code_is_described() -> None:
    """The codes in the tables are exactly those of the program, each refusal of a request with its statuses."""
    described = [cells[0].strip("`") for cells in page.rows(page.section("Refusals and errors"))]
    assert sorted(set(described)) == sorted({*request_codes(), *changeset_codes(), *error_codes()})


def test_statuses_are_those_of_the_program() -> None:
    """Where the program names code and status together, the table has that status."""
    table = {cells[0].strip("`"): cells[1] for cells in page.rows(page.section("Refusals and errors")) if len(cells) == 3}
    assert {code: {table.get(code)} for code in request_codes()} == request_codes()


def request_codes() -> dict[str, set[str]]:
    """Codes of SyncProblem in sync/api with their statuses; ``error.code`` stands for the errors that are caught there."""
    found: dict[str, set[str]] = {}
    for path in sorted((SYNC / "api").glob("*.py")):
        for caught, status, code in problems(path):
            codes = [code] if code else [getattr(errors, name).code for name in caught]
            for name in codes:
                found.setdefault(name, set()).add(status)
    # Nothing of what push catches is raised under these codes: they are counted for single changesets.
    return {code: statuses for code, statuses in found.items() if code != "rejected"}


def problems(path: Path) -> Iterator[tuple[list[str], str, str]]:
    """Yield the errors caught around each SyncProblem of a module, its status, its code (empty for that of the error)."""
    tree = ast.parse(path.read_text())
    caught_at: dict[ast.AST, list[str]] = {}
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        names = [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)] if handler.type else []
        caught_at.update((node, names) for node in ast.walk(handler))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SyncProblem":
            status, code = node.args[:2]
            assert isinstance(status, ast.Constant), f"{path.name}:{node.lineno}: a status that no test can read"
            yield caught_at.get(node, []), str(status.value), str(code.value) if isinstance(code, ast.Constant) else ""


def changeset_codes() -> set[str]:
    """Codes under which a single changeset is refused or held, the short texts of these functions; and why it may not count."""
    found = {*admission.FAULTS, admission.REVOKED, admission.NOT_ALLOWED}
    for function in ast.walk(ast.parse((SYNC / "receive.py").read_text())):
        if isinstance(function, ast.FunctionDef) and function.name in {"_objection", "_accept", "_judge"}:
            texts = [n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            found |= {text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
    return found


def error_codes() -> set[str]:
    """Codes of all errors of the program, wherever they are defined."""
    found, classes = set[str](), [errors.SyncError]
    while classes:
        cls = classes.pop()
        found.add(cls.code)
        classes += [sub for sub in cls.__subclasses__() if sub.__module__.startswith("sync.")]
    return found


def test_every_field_is_described() -> None:
    """The table of models has exactly the replicated fields, each with its policy."""
    described = [
        (model.strip("`"), name.strip("`"), policy.strip("`") or "register")
        for model, name, _, policy in page.rows(page.section("The models of this release"))
    ]
    assert described == [(spec.label, field.name, field.policy) for spec in all_specs() for field in spec.fields.values()]


def test_bounds_are_those_of_the_program() -> None:
    """The table of bounds has the figures that the program keeps."""
    from sync.api.authentication import MAX_BODY
    from sync.exchange import MAX_TIPS
    from sync.missing import MAX_PAIRS
    from sync.ranges import MAX_RANGES, MAX_ROWS

    bounds = page.section("Bounds")
    for what, size in (
        ("head", f"{core.MAX_HEAD_BYTES >> 20} MiB, {core.MAX_OPS:,} ops"),
        ("one value beside", f"{core.MAX_VALUE_BYTES >> 20} MiB"),
        ("one changeset with its values", f"{wire.MAX_CHANGESET_BYTES >> 20} MiB"),
        ("one frame, decompressed", f"{wire.MAX_FRAME_BYTES >> 20} MiB"),
        ("body of a request", f"{MAX_BODY >> 20} MiB"),
        ("`have`", f"{MAX_TIPS:,} tips"),
        ("`wanted`, `values_missing`", f"{MAX_PAIRS:,} pairs"),
        ("`ranges`, `rows` of a comparison", f"{MAX_RANGES}, {MAX_ROWS}"),
    ):
        assert f"| {what} | {size} |" in bounds
    for pattern in (core.INCARNATION, core.SCOPE, core.MODEL, core.FIELD):
        assert f"`{pattern.pattern}`" in page.TEXT


def test_table_of_who_may_do_what_is_the_rule_of_the_program() -> None:
    """Each cell names the verbs that the one rule allows, and speaks of the farm exactly where the rule asks for it."""
    table = page.section("Who may do what").strip().splitlines()
    described = {}
    for line in table[2:5]:
        actor, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        described.update({(actor, target): cell for target, cell in zip(("master", "node", "edge"), cells, strict=True)})
    for (actor, target), cell in described.items():
        allowed = policy.TABLE[policy.Role(actor)][policy.Role(target)]
        assert {verb.value for verb in allowed} == set(re.findall(r"pull|push", cell)), (actor, target)
        assert ("farm" in cell) == ((actor, target) in policy.SAME_FARM), (actor, target)

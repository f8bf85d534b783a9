"""What a receiver promises to the sender of a stream, at the door of a replica: nothing wrong stops what is right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from content.models import Section
from sync import claims, commit, local, missing, status, trust_admin, trusting
from sync.core import trust, wire
from sync.core.changeset import MAX_VALUE_BYTES, detach
from sync.core.errors import IncompleteStreamError, TooLargeError
from sync.core.policy import Role
from sync.models import Chain, Claim, Entry
from sync.receive import Receipt, receive
from tests.protocol.changesets import DOMAIN, Changeset, Draft, key_text, pack, sha256

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "so long that it travels beside the head of its changeset, which names it by its digest"


class Origin:
    """A replica that this master trusts, with one chain for each scope."""

    def __init__(self, name: str, role: str = "edge") -> None:
        self.name, self.role, self.key = name, role, Ed25519PrivateKey.generate()
        self.last: dict[str, Changeset] = {}

    @property
    def entry(self) -> dict[str, Any]:
        """What the trusted list says of it."""
        return {"closed": {}, "open": {"role": self.role, "farm": "", "url": "", "key": key_text(self.key)}}

    def enter(self) -> Origin:
        """Put it on the trusted list of this replica."""
        trust_admin.trust(self.name, Role(self.role), "", "", key_text(self.key))
        return self

    def make(self, model: str, token: str, scope: str = "all", **values: Any) -> Changeset:
        """Return the next changeset of a chain: ``values`` by field."""
        draft, last = Draft(), self.last.get(scope)
        draft.ops.append([model, token, [draft.write(name, value) for name, value in values.items()]])
        place = {"seq": last.head["seq"] + 1 if last else 1, "prev": last.dot if last else None}
        clock = [last.head["clock"][0] if last else local.wall_ms(), (last.head["clock"][1] if last else 0) + 1]
        chain = {"name": self.name, "incarnation": "00112233aabbccdd", "scope": scope}
        self.last[scope] = draft.sign(self.key, **chain, **place, clock=clock, author="", schema="1")
        return self.last[scope]


def take(*changesets: Changeset) -> Receipt:
    """Receive one frame."""
    return receive(wire.frames([pack(changesets)]))


def sections() -> dict[str, str]:
    """Return token -> description of all sections."""
    return dict(Section.objects.values_list("token", "description"))


def section(number: int) -> str:
    """Return the token of a section."""
    return f"EDGE07-LON-43AX-7K2M9QX{number}-221126143015"


def written(number: int, **more: Any) -> dict[str, Any]:
    """Return all fields of a section."""
    return {"title": "Tide", "slug": f"tide-{number}", "description": "", "ordering": 0, **more}


def test_changeset_without_its_value_is_taken_and_shown_when_the_value_comes() -> None:
    """Values that somebody on the way has taken out are asked for; what comes behind is shown meanwhile."""
    edge = Origin("EDGE07-LON").enter()
    whole = edge.make("content.section", section(1), **written(1, description=LONG))
    after = edge.make("content.section", section(2), **written(2))
    assert take(Changeset(whole.raw, whole.signature), after).applied == 2
    assert sections() == {section(2): ""}
    assert missing.all_pairs() == [(bytes.fromhex(whole.dot), next(iter(whole.values)))]
    take(whole)
    assert sections() == {section(1): LONG, section(2): ""}
    assert missing.count() == 0


def test_an_entry_of_the_trusted_list_without_its_value_is_refused() -> None:
    """The list is judged as a whole: nobody on the way may take an entry out of it."""
    master = Origin("MASTER02-LON", role="master").enter()
    whole = master.make("sync.trust", "EDGE07-LON", "trust", entry=Origin("EDGE07-LON").entry)
    assert take(Changeset(whole.raw, whole.signature)).refused == {"value_missing": 1}
    assert take(whole).applied == 1


def test_stream_that_breaks_off_keeps_its_whole_frames() -> None:
    """Of a stream cut inside its third frame the first two are applied, and the error is raised all the same."""
    edge = Origin("EDGE07-LON").enter()
    made = [edge.make("content.section", section(number), **written(number)) for number in range(3)]

    def chunks() -> Iterable[bytes]:
        yield pack(made[:1])
        yield pack(made[1:2])
        yield pack(made[2:])[:-5]

    with pytest.raises(IncompleteStreamError):
        receive(wire.frames(chunks()))
    assert sections() == {section(0): "", section(1): ""}


def test_whole_list_comes_in_one_batch() -> None:
    """A master that the root enters, and an edge that this master enters, are known at once; nothing waits for a second pull."""
    junior, edge = Origin("MASTER02-LON", role="master"), Origin("EDGE07-LON")
    root = Origin("MASTER09-LON", role="master").enter()
    changesets = [
        edge.make("content.section", section(1), **written(1)),
        junior.make("sync.trust", edge.name, "trust", entry=edge.entry),
        root.make("sync.trust", junior.name, "trust", entry=junior.entry),
    ]
    assert take(*changesets).refused == {}
    assert {junior.name, edge.name} <= trusting.current().entries.keys()
    assert sections() == {section(1): ""}


def test_what_is_refused_leaves_no_chain() -> None:
    """A name of a chain that nobody has signed is not kept, so nobody can fill the table of another's chains."""
    edge = Origin("EDGE07-LON").enter()
    edge.key = Ed25519PrivateKey.generate()
    assert take(edge.make("content.section", section(1), **written(1))).refused == {"bad_signature": 1}
    assert not Chain.objects.filter(name=edge.name).exists()


@pytest.mark.parametrize("slug", [7, None, "x" * 5000, "nul \x00", ["tide"], ""])
def test_claim_that_is_no_address_stops_nothing(slug: Any) -> None:
    """A slug that could not be one is not claimed and not shown, and what comes with it is."""
    edge = Origin("EDGE07-LON").enter()
    odd = edge.make("content.section", section(1), **written(1, slug=slug))
    good = edge.make("content.section", section(2), **written(2))
    assert take(odd, good).applied == 2
    assert section(2) in sections()
    assert claims.owner("content.section", "tide-2") == section(2)
    assert not Claim.objects.filter(token=section(1)).exists()


def test_value_that_is_no_json_stops_nothing() -> None:
    """A value beside a head that cannot be read leaves its field empty, and nothing else."""
    edge = Origin("EDGE07-LON").enter()
    made = edge.make("content.section", section(1), **written(1, slug=LONG))
    (digest,), text = made.values, b'{"no json'
    raw = made.raw.replace(digest.encode(), sha256(text).encode())
    odd = Changeset(raw, edge.key.sign(DOMAIN + hashlib.sha256(raw).digest()), {sha256(text): text})
    assert take(odd).applied == 1
    assert section(1) in sections() and status.status()["deferred"] == 1


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"closed": {}},
        {"closed": {}, "open": {"role": "edge", "farm": "", "url": "", "key": "ed25519:no"}},
        {"closed": {}, "open": {"role": "king", "farm": "", "url": "", "key": key_text(Ed25519PrivateKey.generate())}},
        {
            "closed": {"00": {"role": "edge", "farm": "", "key": key_text(Ed25519PrivateKey.generate()), "tips": ["no dot"]}},
            "open": None,
        },
    ],
)
def test_entry_that_is_none_is_ignored(entry: Any) -> None:
    """What cannot be read as an entry of the trusted list changes nothing and stops nothing."""
    master = Origin("MASTER02-LON", role="master").enter()
    before = trusting.current().entries
    assert take(master.make("sync.trust", "EDGE07-LON", "trust", entry=entry)).applied == 1
    assert trusting.current().entries == before
    with pytest.raises(ValueError):
        trust.parse_entry(entry)


def test_nothing_is_written_here_that_nobody_could_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value, or a transaction, beyond the bounds of the protocol is refused where it is written, not by every peer."""
    with pytest.raises(TooLargeError):
        detach("x" * MAX_VALUE_BYTES)
    monkeypatch.setattr(commit.wire, "MAX_CHANGESET_BYTES", 5000)
    before = Entry.objects.count()
    with pytest.raises(TooLargeError), transaction.atomic():
        for number in range(4):
            Section.objects.create(title="Large", description=str(number) * 2000)
    assert (Entry.objects.count(), Section.objects.count()) == (before, 0)

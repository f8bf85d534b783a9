"""The quick way of rows that nobody has written before gives what the general way gives."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sync import fresh
from sync.core.changeset import Changeset, Op, Write
from sync.core.register import Row, encode_around
from sync.models import Claim, MissingBlob, MissingValue, Register
from sync.registry import all_specs
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, state, title

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-22112614301{n}" for n in range(1, 4)]
KEYS = {f"EDGE0{n}-LON": Ed25519PrivateKey.generate() for n in (1, 2)}
TEXTS = st.sampled_from(["", "river", "x" * 300, "a\x00b", "<p>one <script>two</script></p>", "2026-11-22T10:00:00Z", "5"])
PLAIN = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(-(1 << 40), 1 << 40), st.floats(allow_nan=False), st.just("f" * 64)
)
VALUES = st.one_of(PLAIN, st.sampled_from(TOKENS), st.lists(TEXTS, max_size=2), st.dictionaries(TEXTS, TEXTS, max_size=2))


@st.composite
def ops(draw: st.DrawFn, is_for_all: bool) -> Op:
    """One op on a row of any model, sane or not."""
    spec = draw(st.sampled_from([each for each in all_specs() if each.is_for_all is is_for_all]))
    names = draw(st.lists(st.sampled_from([*spec.fields, "unheard"]), min_size=1, max_size=6))
    writes = []
    for name in names:
        policy = spec.fields[name].policy if name in spec.fields else ""
        is_apart = (policy in ("set", "map")) is draw(st.sampled_from([True, True, True, False]))
        element = draw(st.sampled_from(["html", "level", "river"])) if is_apart else None
        over = draw(st.sampled_from([[], [], [], [0]]))
        writes.append(Write(name, element, draw(VALUES), over, draw(st.sampled_from([False, False, True]))))
    seen = draw(st.sampled_from([None, None, None, [0]]))
    label = draw(st.sampled_from([spec.label] * 9 + ["content.unheard"]))
    return Op(label, draw(st.sampled_from(TOKENS)), writes, seen)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Changeset]]:
    """What two replicas made, in batches."""
    origins = [Origin(name, key=key) for name, key in KEYS.items()]
    refs, made = [bytes(16)], []
    for _ in range(draw(st.integers(1, 3))):
        batch = []
        for _ in range(draw(st.integers(1, 3))):
            is_for_all = draw(st.sampled_from([True, True, False]))
            written = draw(st.lists(ops(is_for_all), min_size=1, max_size=4))
            batch.append(draw(st.sampled_from(origins)).make(*written, refs=refs, scope="all" if is_for_all else "farm:thames"))
            refs = [batch[-1].dot]
        made.append(batch)
    return made


def everything() -> list[Any]:
    """Return all that applying leaves behind, but for positions."""
    columns = ("model", "value", "token", "ms", "counter", "name", "tag", "displaced")
    return [
        state(),
        sorted(tuple(map(_plain, row)) for row in Register.objects.values_list()),
        sorted(Claim.objects.values_list(*columns)),
        sorted(MissingBlob.objects.values_list("digest", flat=True)),
        MissingValue.objects.count(),
    ]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_quick_way_gives_what_the_general_way_gives(data):
    """Registers, digest, rows, claims, missing blobs: for any ops on any models, sane or not."""
    made, found = data.draw(batches()), []
    for store in (fresh.store, lambda *args: fresh.Stored()):
        forget_everything()
        for name, key in KEYS.items():
            Origin(name, key=key).trust_here()
        with patch.object(fresh, "store", store):
            receipts = [arrive(*batch) for batch in made]
        found.append((everything(), receipts))
    assert found[0] == found[1], [changeset.raw.decode() for batch in made for changeset in batch]
    assert_rows_follow_from_log()


@given(st.binary(min_size=16, max_size=16), st.sets(st.text("abc/", min_size=1)), st.data())
def test_registers_of_one_writer_are_encoded_as_they_would_be(dot, keys, data):
    """The state, and so the digest, does not say which way it was made."""
    latest = data.draw(st.sets(st.sampled_from(sorted(keys)))) if keys else set()
    row = Row()
    for key in keys:
        row.write(key, dot, (), key in latest)
    before, after = encode_around(keys, latest)
    assert not keys or before + dot + after == row.encode()


def test_a_new_row_takes_the_quick_way_and_one_that_is_there_does_not():
    """Else nothing above says anything."""
    one, stored = Origin("EDGE01-LON").trust_here(), []
    real = fresh.store

    def watched(*args: Any) -> fresh.Stored:
        stored.append(real(*args))
        return stored[-1]

    with patch.object(fresh, "store", watched):
        first = one.make(title(TOKENS[0], "new"))
        arrive(first)
        arrive(one.make(title(TOKENS[0], "changed", over=(0,)), refs=[first.dot]))
    assert [len(each.rows) for each in stored] == [1, 0]

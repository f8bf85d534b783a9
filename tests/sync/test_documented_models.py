"""The example of docs/models.md does what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from sync import checks, claims, log
from sync.core.changeset import Op, Write
from sync.core.token import new_token
from sync.models import MissingBlob
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
NAMES = ("Talk", "Event")  # parts before wholes


def code(name: str) -> str:
    """Return the block of the page that follows the comment ``example: name``."""
    [found] = re.findall(rf"<!-- example: {name} -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture
def example() -> Iterator[dict[str, Any]]:
    """The names that the example defines, with its tables; both are gone afterwards."""
    names: dict[str, Any] = {"__name__": "content.models.documented"}
    exec(code("models"), names)
    with connection.schema_editor() as editor:
        for name in reversed(NAMES):
            editor.create_model(names[name])
    try:
        yield names
        assert_rows_follow_from_log()
    finally:
        with connection.schema_editor() as editor:
            for name in NAMES:
                editor.delete_model(names[name])
        for name in NAMES:
            del apps.all_models["content"][name.lower()]
        apps.clear_cache()


def written() -> list[tuple[str, list[str]]]:
    """Return what was said in all: (model, keys of registers) for each op, in order."""
    return [(op.model, sorted(w.key for w in op.writes)) for _, changeset in log.scan() for op in changeset.head.ops]


def test_the_example_runs(example: dict[str, Any]) -> None:
    """What its author had not changed is not written, elements are merged, and local fields say nothing."""
    exec(code("use"), example)
    first, *rest = written()
    assert first[0] == "content.event" and "visits" not in first[1]
    assert rest == [
        ("content.talk", ["event_id", "title"]),
        ("content.event", ["tags/walk", "title", "updated"]),
        ("content.event", ["summary", "tags/boots", "updated"]),
    ]
    assert example["Event"].objects.get().visits == 1
    assert claims.owner("content.event", "low-tide") == example["event"].token


def test_the_example_passes_the_checks(example: dict[str, Any]) -> None:
    """None of the four checks has anything against it."""
    assert checks.models_can_replicate() == []


def test_the_example_receives(example: dict[str, Any]) -> None:
    """A part may come before its whole, a whole lives as long as a part does, and a blob that is named is waited for."""
    origin = Origin("EDGE01-LON").trust_here()
    event, talk = new_token(origin.name), new_token(origin.name)
    part = origin.make(Op("content.talk", talk, [Write("event_id", None, event, []), Write("title", None, "Mud", [])]))
    whole = origin.make(Op("content.event", event, [Write("title", None, "Tide", []), Write("poster", None, "ab" * 32, [])]))
    gone = origin.make(Op("content.event", event, [], [0]), refs=[whole.dot])
    arrive(part, whole, gone)
    assert example["Talk"].objects.get().event.title == "Tide"
    assert MissingBlob.objects.filter(digest="ab" * 32).exists()


def test_what_is_local_stays_when_a_row_is_written_anew(example: dict[str, Any]) -> None:
    """A row that waits for an upgrade is written with all of its columns at the next change: not with those of this replica alone."""
    origin = Origin("EDGE01-LON").trust_here()
    token = new_token(origin.name)
    newer = [Write("title", None, "Tide", []), Write("price", None, 3, [])]
    whole = origin.make(Op("content.event", token, newer))
    arrive(whole)
    example["Event"].objects.update(visits=7)
    arrive(origin.make(Op("content.event", token, [Write("title", None, "Low tide", [0])]), refs=[whole.dot]))
    found = example["Event"].objects.get()
    assert (found.title, found.visits) == ("Low tide", 7)


@pytest.mark.parametrize(
    ("identity", "field"),
    [
        ("sync.E001", models.CharField(max_length=9, unique=True)),
        ("sync.E002", models.ForeignKey("content.Section", models.CASCADE, related_name="+")),
        ("sync.E003", models.FloatField()),
        ("sync.E004", SimpleNamespace()),
    ],
)
def test_each_check_finds_what_the_page_says(identity: str, field: Any, example: dict[str, Any]) -> None:
    """A unique field, an enforced reference, a float and an unknown policy are each found under their own id."""
    from sync.registry import FieldSpec, ModelSpec, spec

    good = spec(example["Talk"])
    assert good is not None
    if identity == "sync.E004":
        wrong = FieldSpec(good.fields["title"].field, "newest", lambda value: value)
    else:
        field.set_attributes_from_name("wrong")
        wrong = FieldSpec(field, "register", lambda value: value)
    declared = ModelSpec(good.model, {"wrong": wrong}, None, (), good.scope)
    assert [message.id for message in checks._problems(declared)] == [identity]


@pytest.mark.parametrize(
    "declared", [{"names": {"title": "event_id"}}, {"former": ("title",)}, {"names": {"event": "gathering"}}]
)
def test_a_name_in_ops_that_two_fields_have_is_found(
    declared: dict[str, Any], example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether both are there, or one of them is gone; and one that must be the name of the attribute."""
    from sync.registry import _build

    with monkeypatch.context() as patch:
        for name, value in declared.items():
            patch.setattr(example["Talk"].Replication, name, value, raising=False)
        found = [message.id for message in checks._problems(_build.__wrapped__(example["Talk"]))]
    _build.cache_clear()
    assert found == ["sync.E006"]

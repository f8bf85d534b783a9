"""No live row is hidden by a circle of parents or by a parent that is not here."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from content.models import Block
from sync import checks, orphans, status
from sync.core.changeset import Op, Write
from sync.fields import ReferenceField
from sync.registers import RowKey
from sync.replicated import ReplicatedModel
from tests.sync.origins import Origin, arrive

pytestmark = pytest.mark.django_db(transaction=True)

X, Y, Z = (f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 4))


@pytest.fixture
def topic() -> Iterator[Any]:
    """A model whose rows have parents of the same model, with its table; both are gone afterwards."""

    class Topic(ReplicatedModel):
        title = models.CharField(max_length=100)
        parent = ReferenceField("self", on_delete=models.DO_NOTHING, null=True, related_name="children")

        class Meta:
            app_label = "content"

    with connection.schema_editor() as editor:
        editor.create_model(Topic)
    try:
        yield Topic
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Topic)
        del apps.all_models["content"]["topic"]
        apps.clear_cache()


def under(token: str, parent: str | None) -> Op:
    """The row ``token`` is put under ``parent``."""
    return Op("content.topic", token, [Write("parent_id", None, parent, [])])


@pytest.mark.parametrize("turned", [False, True])
def test_x_under_y_against_y_under_x_hides_neither(topic: Any, turned: bool) -> None:
    """Of the links that close a circle the last written one is ignored, whichever came first; both rows are there."""
    one, two = (Origin(f"EDGE0{number}-LON").trust_here() for number in (1, 2))
    made = [one.make(under(X, Y), under(Z, X), ms=1000), two.make(under(Y, X), ms=1001)]
    arrive(*(reversed(made) if turned else made))
    assert orphans.ignored_links(topic, "parent_id") == {Y}
    assert dict(topic.objects.values_list("token", "parent_id")) == {X: Y, Y: X, Z: X}
    topic.objects.filter(token=Y).update(parent_id=None)
    assert orphans.ignored_links(topic, "parent_id") == set()


def test_a_part_without_its_whole_is_listed() -> None:
    """It is here, counted by sync_status and named; and no orphan any more when its whole comes."""
    origin = Origin("EDGE01-LON").trust_here()
    arrive(origin.make(Op("content.block", X, [Write("parent_id", None, Y, []), Write("type", None, "quote", [])])))
    assert Block.objects.get().token == X
    assert list(orphans.orphans()) == [RowKey("content.block", X)]
    assert status.status()["orphans"] == orphans.count() == 1
    arrive(origin.make(Op("content.page", Y, [Write("title", None, "Whole", [])])))
    assert orphans.count() == 0


def test_rows_cannot_be_parts_of_rows_of_their_own_model() -> None:
    """Two people could make each the part of the other, and both would live by the other for ever: the check refuses it."""

    class Circle(ReplicatedModel):
        parent = ReferenceField("self", on_delete=models.DO_NOTHING, null=True, related_name="+")

        class Meta:
            app_label = "content"

        class Replication:
            composition = "parent"

    try:
        assert [problem.id for problem in checks.models_can_replicate()] == ["sync.E005"]
    finally:
        del apps.all_models["content"]["circle"]
        apps.clear_cache()

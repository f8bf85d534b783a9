"""Whatever goes through the ORM becomes part of its transaction's changeset."""

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from content.models import Block, Page, Section, Submission
from content.publishing import publish
from sync import claims, keys, log, pending
from sync.core import signing
from sync.core.errors import UnwritableError
from sync.models import Entry, Register
from tests.sync.origins import assert_rows_follow_from_log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def oracle():
    """After every test, all rows are what the log says."""
    yield
    assert_rows_follow_from_log()


def section(name="News"):
    """Return a stored section."""
    return Section.objects.create(title=name)


def page(**values):
    """Return a stored page."""
    return Page.objects.create(**{"title": "Hello", "section": section(), **values})


def last_ops():
    """Return what the last changeset says: (model, fields written or None for a deletion), sorted."""
    [*_, (_, changeset)] = log.scan()
    return sorted(
        (op.model.split(".")[1], sorted(w.key for w in op.writes) if op.seen is None else None) for op in changeset.head.ops
    )


def count():
    """Return how many changesets there are."""
    return Entry.objects.count()


def test_save_writes_every_field_once_and_then_only_what_changed():
    """Creating says everything, changing says what changed."""
    made = section()
    assert last_ops() == [("section", ["description", "ordering", "slug", "title"])]
    made.title = "Older news"
    made.save()
    assert last_ops() == [("section", ["title"])]


def test_an_unchanged_save_is_no_changeset_and_no_write(django_assert_num_queries):
    """Nothing changed, nothing said."""
    made, before = Page.objects.get(pk=page().pk), count()
    with django_assert_num_queries(0):
        made.save()
    assert count() == before


def test_update_is_captured():
    """By value and by expression, over many rows."""
    section("A"), section("B")
    Section.objects.update(description=Concat(F("title"), Value("!")))
    assert last_ops() == [("section", ["description"]), ("section", ["description"])]


def test_an_update_that_changes_nothing_is_no_changeset():
    """The statement ran; no row is different."""
    section("A")
    before = count()
    Section.objects.update(title="A")
    assert count() == before


def test_bulk_create_and_bulk_update_are_captured():
    """One statement for many rows is one changeset of many ops."""
    made = Section.objects.bulk_create([Section(title=name, slug=name.lower()) for name in "ABC"])
    assert len(last_ops()) == 3
    for item in made:
        item.ordering = 7
    Section.objects.bulk_update(made, ["ordering"])
    assert last_ops() == [("section", ["ordering"])] * 3


def test_bulk_create_over_existing_rows_says_what_really_happened():
    """ON CONFLICT updates one row, ignores one, inserts one."""
    old = section("Old")
    new = Section(title="New", slug="new")
    Section.objects.bulk_create(
        [Section(token=old.token, title="Renamed", slug="ignored"), new],
        update_conflicts=True,
        unique_fields=["token"],
        update_fields=["title"],
    )
    assert last_ops() == [("section", ["description", "ordering", "slug", "title"]), ("section", ["title"])]
    before = count()
    Section.objects.bulk_create([Section(token=old.token, title="Again", slug="x")], ignore_conflicts=True)
    assert count() == before


def test_get_or_create_and_update_or_create_are_captured():
    """The convenience methods end in the same statements."""
    Section.objects.get_or_create(title="A", defaults={"description": "x"})
    assert last_ops() == [("section", ["description", "ordering", "slug", "title"])]
    Section.objects.update_or_create(title="A", defaults={"description": "y"})
    assert last_ops() == [("section", ["description"])]


def test_deleting_takes_the_parts_along_in_one_changeset():
    """A page goes with its blocks; the deletion is one of each row."""
    made = page()
    Block.objects.bulk_create([Block(parent=made, ordering=key, type="code", data={"code": key}) for key in "abc"])
    Page.objects.get(pk=made.pk).delete()
    assert last_ops() == [("block", None)] * 3 + [("page", None)]
    assert not Register.objects.filter(model__in=["content.page", "content.block"], alive=True).exists()


def test_a_queryset_delete_is_captured():
    """Also where Django deletes without loading."""
    section("A"), section("B")
    Section.objects.all().delete()
    assert last_ops() == [("section", None)] * 2


def test_one_transaction_is_one_changeset():
    """A page, its blocks and its publication arrive together or not at all."""
    home, before = section(), count()
    with transaction.atomic():
        made = Page.objects.create(title="Hello", section=home)
        Block.objects.create(parent=made, ordering="a", type="code", data={"code": "1"})
        publish(made)
    assert count() == before + 1
    assert [model for model, _ in last_ops()] == ["block", "page", "publication"]


def test_a_transaction_that_fails_says_nothing():
    """No row, no changeset, no register."""
    before = count(), Register.objects.count()
    with pytest.raises(RuntimeError), transaction.atomic():
        section()
        raise RuntimeError
    assert (count(), Register.objects.count()) == before


def test_a_row_for_farms_cannot_be_written_for_everybody(monkeypatch):
    """Other replicas would set it aside: whoever wrote the model is told at once, and nothing is stored."""
    from sync.registry import spec

    monkeypatch.setitem(spec(Submission).__dict__, "scope", lambda row: "all")
    with pytest.raises(UnwritableError, match="rows of farms only"):
        Submission.objects.create(form="contact", data={}, idempotency_key="1")
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    "value", [{"ordering": 1 << 31}, {"ordering": -(1 << 31) - 1}, {"title": "x" * 201}, {"title": "NUL \0"}]
)
@pytest.mark.parametrize("is_new", [True, False])
def test_what_another_replica_could_not_hold_is_not_stored_here_either(value, is_new):
    """SQLite takes integers and texts that PostgreSQL refuses; shown here only, they would differ for ever, and no digest would say so."""
    before = count()
    made = Section(title="x") if is_new else section()
    for name, each in value.items():
        setattr(made, name, each)
    with pytest.raises(
        (UnwritableError, DataError, ValueError), match=next(iter(value)) if connection.vendor == "sqlite" else None
    ):
        made.save()
    stored = [getattr(each, name) for each in Section.objects.all() for name in value]
    assert count() == before + (not is_new) and not set(stored) & set(value.values())


def test_what_is_changed_back_to_what_a_statement_wrote_is_said():
    """A statement sets a field, an instance loaded after it changes it and changes it back, in one transaction: that is written."""
    made = Section.objects.create(title="x")
    with transaction.atomic():
        Section.objects.filter(pk=made.pk).update(title="barge")
        loaded = Section.objects.get(pk=made.pk)
        for title in ("eel", "barge"):
            loaded.title = title
            loaded.save()
    assert Section.objects.get().title == "barge"
    assert_rows_follow_from_log()


def test_what_a_savepoint_took_back_is_not_said():
    """Only the difference between before and after counts."""
    kept = section("Kept")
    with transaction.atomic():
        kept.ordering = 3
        kept.save()
        with pytest.raises(RuntimeError), transaction.atomic():
            Section.objects.filter(pk=kept.pk).update(title="Lost")
            section("Lost too")
            raise RuntimeError
    assert last_ops() == [("section", ["ordering"])]


def test_making_and_deleting_in_one_transaction_says_nothing():
    """Nobody else would ever see the row."""
    before = count()
    with transaction.atomic():
        section().delete()
    assert count() == before


def test_an_insert_that_fails_leaves_the_row_as_it_was():
    """The clash of a key is not taken for a creation."""
    old = section("Old")
    before = count()
    with transaction.atomic(), pytest.raises(IntegrityError), transaction.atomic():
        Section.objects.bulk_create([Section(token=old.token, title="Other", slug="other")])
    assert count() == before


def test_two_instances_that_change_different_fields_both_keep_their_change():
    """A save writes what its author changed, not what he had loaded."""
    made = page()
    one, other = Page.objects.get(pk=made.pk), Page.objects.get(pk=made.pk)
    one.title = "New title"
    one.save()
    other.summary = "New summary"
    other.save()
    found = Page.objects.get(pk=made.pk)
    assert (found.title, found.summary) == ("New title", "New summary")
    assert not Register.objects.filter(siblings=True).exists()


def test_a_stale_full_save_does_not_bring_old_values_back():
    """Also where Django is told to write every field."""
    made = page()
    one, other = Page.objects.get(pk=made.pk), Page.objects.get(pk=made.pk)
    one.title = "New title"
    one.save()
    other.summary = "New summary"
    other.save(update_fields=["title", "summary"])
    found = Page.objects.get(pk=made.pk)
    assert (found.title, found.summary) == ("New title", "New summary")


def test_two_instances_that_change_one_field_are_siblings_and_a_third_resolves_them():
    """The later is shown, the other is kept, until somebody who saw what is shown, or a statement, overwrites both."""
    made = page()
    one, other = Page.objects.get(pk=made.pk), Page.objects.get(pk=made.pk)
    one.title, other.title = "One", "Other"
    one.save()
    other.save()
    assert Page.objects.get(pk=made.pk).title == "Other"
    assert Register.objects.filter(siblings=True).count() == 1
    shown = Page.objects.get(pk=made.pk)
    shown.title = "Third"
    shown.save()
    assert Register.objects.filter(siblings=True).count() == 1, "the one that was not shown is still there"
    Page.objects.filter(pk=made.pk).update(title="Fourth")
    assert not Register.objects.filter(siblings=True).exists()


def test_tags_of_two_authors_are_united():
    """Each element of a set is a register: adding and removing do not disturb each other."""
    made = page(tags=["a", "b"])
    one, other = Page.objects.get(pk=made.pk), Page.objects.get(pk=made.pk)
    one.tags, other.tags = ["a", "b", "c"], ["b", "d"]
    one.save()
    other.save()
    assert Page.objects.get(pk=made.pk).tags == ["b", "c", "d"]


def test_tags_are_stored_sorted_and_once():
    """A set has no order; every replica shows the same one."""
    assert Page.objects.get(pk=page(tags=["b", "a", "b"]).pk).tags == ["a", "b"]


def test_keys_of_a_block_are_registers_of_their_own():
    """Two authors change two keys of one block."""
    block = Block.objects.create(parent=page(), ordering="a", type="quote", data={"html": "x", "attribution": "y"})
    one, other = Block.objects.get(pk=block.pk), Block.objects.get(pk=block.pk)
    one.data["html"] = "changed"
    other.data["attribution"] = "changed too"
    one.save()
    assert last_ops() == [("block", ["data/html"])]
    other.save()
    assert Block.objects.get(pk=block.pk).data == {"html": "changed", "attribution": "changed too"}
    del one.data["attribution"]
    assert not Register.objects.filter(siblings=True).exists()


def test_a_removed_key_of_a_block_is_gone():
    """A key that is taken out is no longer shown."""
    block = Block.objects.create(parent=page(), ordering="a", type="quote", data={"html": "x", "attribution": "y"})
    block = Block.objects.get(pk=block.pk)
    del block.data["attribution"]
    block.save()
    assert Block.objects.get(pk=block.pk).data == {"html": "x"}


def test_changesets_are_numbered_without_gaps_chained_and_signed():
    """Anybody can check the chain with the public key alone."""
    for name in "ABC":
        section(name)
    before = None
    for number, (_, changeset) in enumerate(log.scan(), 1):
        assert changeset.head.seq == number
        assert changeset.head.prev == before
        assert signing.is_signed_by(keys.private().public_key(), changeset.id, changeset.signature)
        before = changeset.dot.hex()


def test_the_author_stands_in_the_changeset():
    """Whoever is named while the transaction commits."""
    with pending.written_by("ada"):
        section()
    [(_, changeset)] = log.scan()
    assert changeset.head.author == "ada"


def test_a_transaction_over_two_scopes_makes_one_changeset_in_each_chain():
    """A submission belongs to its farm, a section to everybody; neither travels with the other."""
    with transaction.atomic():
        section()
        Submission.objects.create(form="contact", data={"name": "x"}, idempotency_key="k", farm="thames")
    found = {changeset.head.scope: [op.model for op in changeset.head.ops] for _, changeset in log.scan()}
    assert found == {"all": ["content.section"], "farm:thames": ["content.submission"]}


def test_a_publication_is_never_altered():
    """Saving one again is a mistake of the programmer, and says so."""
    made = page()
    publication = publish(made)
    publication.title = "Changed"
    with pytest.raises(TypeError, match="never altered"):
        publication.save()


def test_statements_of_a_save_do_not_grow_with_the_log(django_assert_max_num_queries):
    """A save of one field costs a fixed number of statements."""
    made = Section.objects.get(pk=section().pk)
    for number in range(3):
        with django_assert_max_num_queries(24):
            made.title = f"Title {number}"
            made.save()


def test_every_replicated_model_declares_only_what_can_replicate():
    """The system check finds unique columns and enforced references."""
    from sync.checks import models_can_replicate

    assert models_can_replicate() == []


def test_a_row_that_is_read_again_within_the_transaction_keeps_what_it_wrote():
    """Saved, read again and saved again: both writes are told, over what was there before, and leave one version."""
    made, other = page(), section("Sports")
    with transaction.atomic():
        first = Page.objects.get(pk=made.pk)
        first.title = "Changed"
        first.save()
        again = Page.objects.get(pk=made.pk)
        again.section = other
        again.save()
        again.title = "Changed twice"
        again.save()
    assert last_ops() == [("page", ["section_id", "title", "updated"])]
    shown = Page.objects.get()
    assert (shown.title, shown.section) == ("Changed twice", other)
    assert not Register.objects.filter(siblings=True).exists()


def test_every_slug_that_a_row_was_given_here_is_its_own():
    """The former address goes on to lead to it."""
    made = section("News")
    former = made.slug
    made.title = "Older news"
    made.renew_slug()
    made.save()
    assert made.slug != former
    assert {claims.owner("content.section", slug) for slug in (former, made.slug)} == {made.token}

"""Two replicas claim one slug: both rows live, every replica agrees who has it, and links to either arrive."""

from itertools import permutations

import pytest
from django.db import transaction

from content.models import Page, Publication, Section
from content.publishing import publish
from sync import claims, rebuild, registers, trust_admin
from sync.core.changeset import Op, Write
from sync.models import Claim
from tests.sync.origins import Origin, arrive, assert_rows_follow_from_log, forget_everything, rows

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"EDGE0{n}-LON-43AX-7K2M9QX{n}-221126143015" for n in range(1, 4)]
SLUG = "news-43ax"


def section(token: str, slug: str = SLUG, over: tuple[int, ...] = ()) -> Op:
    """A section whose slug is written, over the refs given."""
    return Op("content.section", token, [Write("title", None, "News", list(over)), Write("slug", None, slug, list(over))])


def slugs() -> dict[str, str]:
    """The slug of each section."""
    return dict(Section.objects.values_list("token", "slug"))


def owners(*values: str) -> list[str | None]:
    """To whom each address leads."""
    return [claims.owner("content.section", value) for value in values]


@pytest.fixture
def origins():
    """Three edges, known but not trusted yet."""
    return [Origin(f"EDGE0{number}-LON") for number in range(1, 4)]


def test_every_replica_agrees_who_keeps_a_slug_in_whatever_order_claims_arrive(origins):
    """The first by clock keeps it, the others take the next candidates of their own; digests and rows are equal everywhere."""
    made = [origin.make(section(TOKENS[number]), ms=1000 + number) for number, origin in enumerate(origins)]
    seen = []
    for order in permutations(made):
        forget_everything()
        for origin in origins:
            origin.trust_here()
        for changeset in order:
            arrive(changeset)
        seen.append((registers.digest(), rows(), owners(SLUG, *sorted(slugs().values()))))
        assert_rows_follow_from_log()
    assert all(each == seen[0] for each in seen)
    assert slugs()[TOKENS[0]] == SLUG
    assert len(set(slugs().values())) == 3 and all(slug.startswith("news-") for slug in slugs().values())


def test_an_owner_that_is_renamed_or_deleted_hands_its_slug_to_nobody(origins):
    """The link goes on to mean the row that had it, and a later row with the same slug takes another."""
    one, two, _ = [origin.trust_here() for origin in origins]
    first = one.make(section(TOKENS[0]), ms=1000)
    renamed = one.make(section(TOKENS[0], "olds-43ax", over=(0,)), refs=[first.dot], ms=1001)
    gone = one.make(Op("content.section", TOKENS[0], [], [0]), refs=[renamed.dot], ms=1002)
    arrive(first, renamed, gone)
    arrive(two.make(section(TOKENS[1]), ms=1003))
    assert owners(SLUG, "olds-43ax") == [TOKENS[0], TOKENS[0]]
    assert slugs().keys() == {TOKENS[1]} and slugs()[TOKENS[1]] not in (SLUG, "olds-43ax")


def test_saving_a_page_again_makes_its_claim_no_younger(origins):
    """An unchanged slug is not written: a claim of another, made between two saves, comes after the first."""
    made = Section.objects.create(title="News", token=TOKENS[2])
    assert made.slug == SLUG
    arrive(origins[0].trust_here().make(section(TOKENS[0])))
    made = Section.objects.get(pk=TOKENS[2])
    made.title = "Newer"
    made.save()
    assert slugs()[TOKENS[2]] == SLUG != slugs()[TOKENS[0]]
    assert Claim.objects.filter(token=TOKENS[2]).count() == 1


def test_an_earlier_claim_that_arrives_late_takes_the_slug_and_publications_follow(origins):
    """Editors, lists and readers then find the page that was here under its new name, and nothing of it is lost."""
    news = Section.objects.create(title="Section")
    page = Page.objects.create(token=TOKENS[2], title="News", section=news)
    publish(page)
    assert page.slug == SLUG
    write = [Write("title", None, "News", []), Write("slug", None, SLUG, []), Write("section_id", None, news.token, [])]
    arrive(origins[0].trust_here().make(Op("content.page", TOKENS[0], write), ms=1000))
    shown, here = Publication.objects.get(), Page.objects.get(pk=TOKENS[2])
    assert here.slug == shown.slug != SLUG
    assert Page.objects.get(pk=TOKENS[0]).slug == SLUG
    here.title = "Newer"
    here.save()
    publish(Page.objects.get(pk=TOKENS[2]))
    assert set(Publication.objects.values_list("slug", flat=True)) == {here.slug}
    assert_rows_follow_from_log()


def test_a_slug_that_is_taken_here_is_not_given_out_again(origins):
    """Where the replica knows that a slug is taken, it takes the next at once, and the form leads to the right page."""
    arrive(origins[0].trust_here().make(section(TOKENS[0])))
    made = Section.objects.create(title="News", token=TOKENS[1])
    assert made.slug != SLUG and made.slug == slugs()[TOKENS[1]]
    assert not Claim.objects.filter(displaced=True).exists()


def test_claims_of_a_revoked_replica_count_no_more(origins):
    """What it took is given back, in whatever order its claims had come, and taken again when it is admitted again."""
    rogue, honest, _ = [origin.trust_here() for origin in origins]
    arrive(rogue.make(section(TOKENS[0]), ms=1000), honest.make(section(TOKENS[1]), ms=1001))
    taken = slugs()[TOKENS[1]]
    trust_admin.revoke(rogue.name, 1)
    assert slugs() == {TOKENS[1]: SLUG}
    assert_rows_follow_from_log()
    assert taken not in Claim.objects.values_list("name", flat=True)


def test_claims_are_derived_from_the_log(origins):
    """Lost or damaged, they are made anew, all alike, and rows show the names again."""
    one, two, _ = [origin.trust_here() for origin in origins]
    arrive(one.make(section(TOKENS[0]), ms=1000), two.make(section(TOKENS[1]), ms=1001))
    names = list(Claim.objects.order_by("ms").values_list("token", "value", "name", "displaced", "tag"))
    before = slugs()
    Claim.objects.update(name="", displaced=False)
    with transaction.atomic():
        rebuild.claim_all()
    assert list(Claim.objects.order_by("ms").values_list("token", "value", "name", "displaced", "tag")) == names
    assert slugs() == before

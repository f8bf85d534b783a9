"""What follows from the log is worked out once, and never believed of a transaction that was taken back."""

from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from content.models import Section
from sync import exchange, local, trust_admin, trusting
from sync.core.policy import Party, Role
from tests.sync.origins import Origin, arrive, title

pytestmark = pytest.mark.django_db(transaction=True)

NODE = Party(Role.NODE)
TOKEN = "NODE01-LON-43AX-7K2M9QX1-221126143015"


@contextmanager
def counted():
    """Yield a list of the statements that are run within."""
    found = []

    def note(execute, sql, params, many, context):
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def test_a_second_look_costs_one_statement_each():
    """The trusted list and the summary, however many entries and chains there are."""
    for number in range(5):
        Origin(f"EDGE{number:02}-LON").trust_here()
    Section.objects.create(title="News")
    looks = (trusting.current, lambda: exchange.summary_between(trusting.me(), NODE), local.state)
    before = [look() for look in looks]
    with counted() as statements:
        assert [look() for look in looks[:2]] == before[:2]
        looks[2]()
    assert len(statements) == 3


def test_the_list_is_not_read_again_for_what_has_nothing_to_do_with_it():
    """However much arrives, also within the transaction of a batch; only a change of the list is read."""
    origin = Origin("NODE01-LON", Role.NODE).trust_here()
    trusting.current()
    arrive(origin.make(title(TOKEN, "News")))
    with transaction.atomic():
        Section.objects.create(title="Local")
        with counted() as statements:
            trusting.current()
    assert len(statements) == 1
    Origin("NODE02-LON", Role.NODE).trust_here()
    assert "NODE02-LON" in trusting.current().entries


def test_whatever_arrives_or_is_written_is_seen_at_once():
    """An entry of the trusted list, a changeset of another replica, one of this."""
    me = trusting.me()
    seen = [exchange.summary_between(me, NODE)]
    origin = Origin("NODE01-LON", Role.NODE).trust_here()
    assert "NODE01-LON" in trusting.current().entries
    seen.append(exchange.summary_between(me, NODE))
    arrive(origin.make(title(TOKEN, "News")))
    seen.append(exchange.summary_between(me, NODE))
    Section.objects.create(title="News")
    seen.append(exchange.summary_between(me, NODE))
    trust_admin.revoke("NODE01-LON")
    assert trusting.current().entries["NODE01-LON"].open is None
    assert len(set(seen)) == 4


def test_what_is_taken_back_was_never_seen():
    """A list and a summary that were looked at within a transaction are not remembered when it fails, by whichever numbers."""
    before = exchange.summary_between(trusting.me(), NODE)
    for name in ("EDGE01-LON", "EDGE02-LON"):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Origin(name).trust_here()
            assert name in trusting.current().entries
            assert exchange.summary_between(trusting.me(), NODE) != before
            raise ZeroDivisionError
        assert name not in trusting.current().entries
        assert exchange.summary_between(trusting.me(), NODE) == before


def test_nobody_alters_what_is_remembered():
    """Who changes the list that was returned changes a copy."""
    trusting.current().entries.clear()
    exchange.tips_between(trusting.me(), NODE).append(None)
    assert trusting.current().entries
    assert None not in exchange.tips_between(trusting.me(), NODE)

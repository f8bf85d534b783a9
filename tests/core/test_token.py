"""Tokens and slugs follow their grammar."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.utils.text import slugify as django_slugify
from hypothesis import given
from hypothesis import strategies as st

from sync.core import token
from sync.core.slug import make_slug, slugify

NAMES = st.from_regex(r"[A-Z][A-Z0-9]{0,15}-[A-Z0-9]{2,8}", fullmatch=True)
GRAMMAR = re.compile(r"[A-Z][A-Z0-9]{0,15}-[A-Z0-9]{2,8}-[0-9]{2}[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{8}-[0-9]{12}")
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


@given(NAMES, MOMENTS)
def test_every_token_matches_its_grammar(name, now):
    """``EDGE07-LON-43AX-7K2M9QXV-221126143015``: name, tag, eight of Crockford's characters, time."""
    made = token.new_token(name, now)
    assert GRAMMAR.fullmatch(made)
    assert token.is_token(made)
    assert made.startswith(name + "-")
    assert made.endswith(now.strftime("%d%m%y%H%M%S"))
    assert len(made) <= token.MAX_LENGTH


def test_the_time_is_utc_whatever_the_zone():
    """Half past two in London's summer is half past one."""
    summer = datetime(2026, 7, 1, 14, 30, 15, tzinfo=timezone(timedelta(hours=1)))
    assert token.new_token("EDGE07-LON", summer).endswith("010726133015")


def test_ten_thousand_tokens_of_one_second_differ():
    """Nobody is asked, and nobody clashes."""
    now = datetime.now(UTC)
    assert len({token.new_token("EDGE07-LON", now) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "text", ["", "EDGE07-LON", "edge07-LON-43AX-7K2M9QXV-221126143015", "EDGE07-LON-43AX-7K2M9QXI-221126143015"]
)
def test_anything_else_is_no_token(text):
    """Lower case, a letter that Crockford left out, a part that is missing."""
    assert not token.is_token(text)
    with pytest.raises(ValueError):
        token.tag_of(text)


@given(st.lists(st.tuples(NAMES, MOMENTS), min_size=2, max_size=6))
def test_sort_keys_are_as_unique_as_tokens_and_ordered_by_time(pairs):
    """The key under which registers are kept only moves the time to the front."""
    tokens = [token.new_token(name, now.replace(microsecond=0)) for name, now in pairs]
    assert len({token.sort_key(item) for item in tokens}) == len(set(tokens))
    ordered = sorted(zip(pairs, tokens, strict=True), key=lambda pair: token.sort_key(pair[1]))
    times = [now.replace(microsecond=0) for (_, now), _ in ordered]
    assert times == sorted(times)


@given(st.text(max_size=60))
def test_slugs_are_those_of_django(title):
    """The core has no Django, and still the slugs that Django's users know."""
    assert slugify(title) == django_slugify(title)


def test_a_slug_ends_in_the_tag_of_its_row():
    """Equal titles of two rows differ in their slugs; a title without letters still has one."""
    made = "EDGE07-LON-43AX-7K2M9QXV-221126143015"
    assert make_slug("Example Page", made) == "example-page-43ax"
    assert make_slug("例", made) == "43ax"

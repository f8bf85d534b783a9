"""Slugs: readable addresses that carry the tag of their row, so that equal titles do not clash; and what is done where they do.

A slug that was written once is a claim. Of all claims ever made, in the order of their clocks, each takes the first of its
candidates that is free or its row's own already. So every replica gives out the same names, an owner keeps what it has for ever,
and who claims later moves nobody.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from sync.core.clock import Timestamp
from sync.core.token import tag_of

MAX_GROUPS = 8  # of two digits and two letters in a tag
TAG = re.compile(rf"(?:[0-9]{{2}}[a-z]{{2}}){{1,{MAX_GROUPS}}}")
TRIES = 64  # tags of one length that are tried before longer ones


class Claim(NamedTuple):
    """A slug that a row was given once; ``id`` is the dot of the write. Claims are served in the order of these fields."""

    stamp: Timestamp
    token: str
    value: str
    id: bytes


def slugify(title: str) -> str:
    """Return ``title`` as words of ASCII letters, digits and underscores joined by hyphens, as Django's ``slugify`` does."""
    text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text)).strip("-_")


def make_slug(title: str, token: str) -> str:
    """Return the slug of the row ``token``: ``example-page-43ax``; the tag alone when the title has no ASCII letters."""
    return f"{slugify(title)}-{tag_of(token)}".lstrip("-")


def split(slug: str) -> tuple[str, str]:
    """Return the words of ``slug`` and its tag; an empty tag where it ends in none. All candidates of a claim share the words."""
    words, _, last = slug.rpartition("-")
    return (words, last) if TAG.fullmatch(last) else (slug, "")


def candidates(token: str, value: str) -> Iterator[str]:
    """Yield the names that a claim to ``value`` would take: ``value``, then its words with tags that follow from ``token``.

    Endless: after every ``TRIES`` tags they grow by one group of two digits and two letters.
    """
    yield value
    words, _ = split(value)
    for number in count(1):
        yield f"{words}-{_tag(token, number)}".lstrip("-")


def _tag(token: str, number: int) -> str:
    """The ``number``-th further tag of a row: from SHA-256 of ``token number``, four bytes a group."""
    digest = hashlib.sha256(f"{token} {number}".encode()).digest()
    groups = min(1 + number // TRIES, MAX_GROUPS)
    return "".join(
        f"{a % 10}{b % 10}{chr(97 + c % 26)}{chr(97 + d % 26)}"
        for a, b, c, d in (digest[start : start + 4] for start in range(0, 4 * groups, 4))
    )


def allocate(claims: Iterable[Claim]) -> dict[Claim, str]:
    """Return the name that each of ``claims`` takes; they are all that were ever made to slugs of the same words."""
    owners: dict[str, str] = {}
    names: dict[Claim, str] = {}
    for claim in sorted(claims):
        name = next(name for name in candidates(claim.token, claim.value) if owners.get(name, claim.token) == claim.token)
        owners[name] = claim.token
        names[claim] = name
    return names

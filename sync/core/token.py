"""Tokens: keys of rows that two replicas never both give out, without asking anybody.

``EDGE07-LON-43AX-7K2M9QXV-221126143015`` = replica name, tag, 8 random characters of Crockford's base 32, UTC time of
creation as DDMMYYHHMMSS. A token is text; nothing parses it for order, since clocks lie.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Callable
from datetime import UTC, datetime

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REPLICA = re.compile(r"[A-Z][A-Z0-9]{0,15}-[A-Z0-9]{2,8}")
TOKEN = re.compile(rf"({REPLICA.pattern})-([0-9]{{2}}[A-Z]{{2}})-([{CROCKFORD}]{{8}})-([0-9]{{12}})")
MAX_LENGTH = 64


def new_tag(choose: Callable[[str], str] = secrets.choice) -> str:
    """Return a random tag: two digits, two letters. ``choose`` picks one of the characters that it is given."""
    digits = "".join(choose(string.digits) for _ in range(2))
    return digits + "".join(choose(string.ascii_uppercase) for _ in range(2))


def new_token(replica: str, now: datetime | None = None, choose: Callable[[str], str] = secrets.choice) -> str:
    """Return a fresh token of ``replica`` (``NODE-LOC``); ``now`` is an aware time, the present by default."""
    random = "".join(choose(CROCKFORD) for _ in range(8))
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{replica}-{new_tag(choose)}-{random}-{moment:%d%m%y%H%M%S}"


def derived_token(replica: str, seed: str, now: datetime) -> str:
    """Return the token that ``seed`` always gives, as unique as the seed: who sends a row twice makes one row of it."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")

    def choose(letters: str) -> str:
        nonlocal number
        number, place = divmod(number, len(letters))
        return letters[place]

    return new_token(replica, now, choose)


def is_token(text: str) -> bool:
    """Say whether ``text`` follows the grammar of a token."""
    return TOKEN.fullmatch(text) is not None


def maker_of(token: str) -> str:
    """Return the name of the replica that made ``token``, as the token says; an empty text for anything but a token."""
    match = TOKEN.fullmatch(token)
    return match[1] if match else ""


def tag_of(token: str) -> str:
    """Return the tag of ``token`` in lower case, as slugs carry it. Raises ValueError for anything but a token."""
    match = TOKEN.fullmatch(token)
    if match is None:
        raise ValueError(f"{token!r} is not a token")
    return match[2].lower()


def sort_key(token: str) -> str:
    """Return ``token`` with its time first, year to second, so that new keys are appended to an index.

    Only a matter of storage: the key is as unique as the token, and its order means nothing. What is no token, as a hostile
    peer may send, stays as it is behind a mark.
    """
    if not is_token(token):
        return f"~{token}"
    time = token[-12:]
    return f"{time[4:6]}{time[2:4]}{time[:2]}{time[6:]}-{token[:-13]}"

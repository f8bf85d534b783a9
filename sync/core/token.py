"""Tokens: keys of rows that two replicas never both give out, without asking anybody.

``EDGE07-LON-43AX-7K2M9QXV-221126143015`` = replica name, tag, 8 random characters of Crockford's base 32, UTC time of
creation as DDMMYYHHMMSS. A token is text; nothing parses it for order, since clocks lie.
"""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REPLICA = re.compile(r"[A-Z][A-Z0-9]{0,15}-[A-Z0-9]{2,8}")
TOKEN = re.compile(rf"({REPLICA.pattern})-([0-9]{{2}}[A-Z]{{2}})-([{CROCKFORD}]{{8}})-([0-9]{{12}})")
MAX_LENGTH = 64


def new_tag() -> str:
    """Return a random tag: two digits, two letters."""
    digits = "".join(secrets.choice(string.digits) for _ in range(2))
    return digits + "".join(secrets.choice(string.ascii_uppercase) for _ in range(2))


def new_token(replica: str, now: datetime | None = None) -> str:
    """Return a fresh token of ``replica`` (``NODE-LOC``); ``now`` is an aware time, the present by default."""
    random = "".join(secrets.choice(CROCKFORD) for _ in range(8))
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{replica}-{new_tag()}-{random}-{moment:%d%m%y%H%M%S}"


def is_token(text: str) -> bool:
    """Say whether ``text`` follows the grammar of a token."""
    return TOKEN.fullmatch(text) is not None


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

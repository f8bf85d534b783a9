"""What is an address of a replica, and a name of a farm: one answer for settings, commands, invitations and requests."""

from __future__ import annotations

import re

MAX_URL = 300  # characters
FARM = re.compile(r"[A-Za-z0-9_.-]{0,32}")
FARM_ACCEPTED = "up to 32 of letters, digits, '.', '_' and '-'"

# Of a name nothing is asked but that nobody takes it for another part of an address: other scripts have signs of many kinds.
_LABEL = r"""(?!-)[^\s.:/?#@%\\"<>^`{|}\[\]]+"""
_ORIGIN = re.compile(
    rf"(https?)://((?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+(?:%25[\w.-]+)?\])(?::([0-9]{{1,5}}))?)/?", re.IGNORECASE
)


def origin(text: str) -> str:
    """Return scheme, host and port of the address of a replica. Raises ValueError for what is none.

    Nothing may follow them, and no account stand before: addresses of a replica start at the root.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None or not text.isprintable() or len(text) > MAX_URL or not 0 < int(found[3] or 80) < 65536:
        raise ValueError(f"{text!r} is no address; one looks like https://edge07.example.org")
    return f"{found[1].lower()}://{found[2]}"


def farm(text: str) -> str:
    """Return ``text``, the name of a farm, or empty for none. Raises ValueError for what is neither."""
    if not FARM.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a farm; {FARM_ACCEPTED} are")
    return text

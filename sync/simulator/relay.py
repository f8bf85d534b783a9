"""Somebody in between who does with a stream what he likes, short of signing for others."""

from __future__ import annotations

from random import Random

from sync.core import wire

KINDS = ("altered", "stripped", "dropped", "shuffled", "doubled")


def tamper(kind: str, body: bytes, random: Random) -> bytes:
    """Return ``body`` (zstd frames) after ``kind`` was done to it. What holds no changeset stays as it is."""
    found = [_lines(frame.raw) for frame in wire.frames([body])]
    changesets = [lines for frame in found for lines in _changesets(frame)]
    if not changesets:
        return body
    first = [line for line in found[0] if line.startswith(b"H ")]
    last = [line for line in found[-1] if line.startswith(b"E ")]
    changed = _CHANGES[kind](changesets, random)
    parts = [first, *changed, last]
    return b"".join(wire.pack(b"\n".join(part) + b"\n") for part in parts if part)


def _lines(raw: bytes) -> list[bytes]:
    return wire.unpack(raw).split(b"\n")[:-1]


def _changesets(lines: list[bytes]) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    for line in lines:
        if line.startswith(b"C "):
            found.append([line])
        elif line.startswith(b"V "):
            found[-1].append(line)
    return found


def _altered(changesets: list[list[bytes]], random: Random) -> list[list[bytes]]:
    """Change what one says, and leave the signature."""
    which = random.randrange(len(changesets))
    line = changesets[which][0].replace(b'"author":"', b'"author":"m')
    return [[line, *lines[1:]] if number == which else lines for number, lines in enumerate(changesets)]


def _stripped(changesets: list[list[bytes]], random: Random) -> list[list[bytes]]:
    """Take the detached values away from one that has some."""
    having = [number for number, lines in enumerate(changesets) if len(lines) > 1]
    which = random.choice(having) if having else -1
    return [lines[:1] if number == which else lines for number, lines in enumerate(changesets)]


def _dropped(changesets: list[list[bytes]], random: Random) -> list[list[bytes]]:
    which = random.randrange(len(changesets))
    return [lines for number, lines in enumerate(changesets) if number != which]


def _shuffled(changesets: list[list[bytes]], random: Random) -> list[list[bytes]]:
    return random.sample(changesets, len(changesets))


def _doubled(changesets: list[list[bytes]], random: Random) -> list[list[bytes]]:
    which = random.randrange(len(changesets))
    return [*changesets[: which + 1], *changesets[which // 2 :]]


_CHANGES = {"altered": _altered, "stripped": _stripped, "dropped": _dropped, "shuffled": _shuffled, "doubled": _doubled}

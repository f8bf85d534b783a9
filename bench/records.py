"""The records that are moved: about 1.2 KB each, a title and a kilobyte of words."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = 4_000  # so many different words: what is made of them packs about as well as prose does
TEXT = 1_050  # bytes


def records(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield ``count`` records {token, slug, title, description, ordering}; the same ones for the same seed."""
    dice = random.Random(seed)
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 10))) for _ in range(WORDS)]
    for number in range(count):
        title = " ".join(dice.choices(words, k=6)).capitalize()
        text = " ".join(dice.choices(words, k=TEXT // 4))[:TEXT]
        token = f"{dice.getrandbits(128):032x}"
        yield {"token": token, "slug": title.replace(" ", "-"), "title": title, "description": text, "ordering": number}


def to_file(path: Path, count: int) -> int:
    """Write ``count`` records as lines of JSON; return the bytes."""
    with path.open("w") as file:
        return sum(file.write(json.dumps(record) + "\n") for record in records(count))

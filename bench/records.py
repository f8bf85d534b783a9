"""The records that are moved: about 1.2 KB each, a title and a kilobyte of words; and how a replica comes to hold them.

``write`` and ``change`` run inside a replica (``manage.py shell -c``); each record is a transaction, so a signed changeset.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
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


def write(path: str) -> None:
    """Write the records of a file in this replica, a transaction each. Without fsync: making them is not measured."""
    from django.db import connection, transaction

    from content.models import Section

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    with Path(path).open() as file:
        for record in map(json.loads, file):
            with transaction.atomic():
                Section(title=record["title"], description=record["description"], ordering=record["ordering"]).save()


def change(count: int) -> None:
    """Change the text of the first ``count`` records in this replica, a transaction each."""
    from django.db import transaction

    from content.models import Section

    for section, record in zip(list(Section.objects.order_by("ordering")[:count]), records(count, seed=2), strict=True):
        with transaction.atomic():
            section.description = record["description"]
            section.save()


def lines(path: Path, count: int) -> Iterator[bytes]:
    """Yield the first ``count`` lines of a file of records."""
    with path.open("rb") as file:
        yield from islice(file, count)

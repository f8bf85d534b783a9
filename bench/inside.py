"""What benches do inside a replica: ``python -m bench.inside FUNCTION JSON``, with the replica's environment."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from typing import Any

from bench.author import Author
from bench.records import records


def prepare(trust: list[dict[str, str]], count: int = 0, each: int = 1, together: int = 1) -> None:
    """Trust others; then receive ``count`` records from an author, ``each`` of them a changeset.

    Without fsync: making them is not measured.
    """
    from django.db import connection, transaction

    from sync import trust_admin
    from sync.core.policy import Role
    from sync.receive import receive

    author = Author()
    with transaction.atomic():
        for other in trust:
            trust_admin.trust(other["name"], Role(other["role"]), other["farm"], other["url"], other["key"])
        if count:
            trust_admin.trust(author.name, Role.EDGE, "bench", "", author.public)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    if count:
        receipt = receive(author.frames(records(count), each, together))
        if receipt.applied * each < count:
            raise RuntimeError(f"{receipt} came of {count} records")


def change(count: int) -> None:
    """Change the text of the first ``count`` records, a transaction each."""
    from django.db import transaction

    from content.models import Section

    for section, record in zip(list(Section.objects.order_by("ordering")[:count]), records(count, seed=2), strict=True):
        with transaction.atomic():
            section.description = record["description"]
            section.save()


def edit(count: int, edits: int) -> None:
    """Write ``count`` records where there are none, then another text into each, ``edits`` times; each write is a transaction."""
    from django.db import connection, transaction

    from content.models import Section

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")  # making them is not measured
    held = list(Section.objects.order_by("ordering"))
    if not held:
        for record in records(count):
            with transaction.atomic():
                Section(title=record["title"], description=record["description"], ordering=record["ordering"]).save()
    for number in range(edits):
        for section, record in zip(held, records(count, seed=number + 2), strict=True):
            with transaction.atomic():
                section.description = record["description"]
                section.save()


def publish(count: int) -> None:
    """Write and publish ``count`` pages; print their addresses."""
    from bench import site

    site.publish(count)


def receive(peer: str) -> None:
    """Say that this process is ready, having spoken with the peer; then pull once for each line that comes."""
    from django.core.management import call_command

    from sync import peers, queues  # noqa: F401, what a pull loads when it has brought something
    from sync.client import Peer
    from sync.core.policy import Verb
    from sync.management.commands import sync_pull  # noqa: F401

    client = Peer(peer, peers.named(peer, Verb.PULL).url)
    client.json("GET", f"hello?challenge={'0' * 32}")
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        call_command("sync_pull", peer, json=True, stdout=(out := io.StringIO()))
        [found] = json.loads(out.getvalue())["peers"]
        print(json.dumps({"seconds": time.perf_counter() - began, "changed": found["applied"]}), flush=True)


def main(function: str, arguments: dict[str, Any]) -> None:
    """Call one of the functions here."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "edgecms.settings"
    django.setup()
    globals()[function](**arguments)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))

"""What ``bench.growth`` asks of a replica, in a process that has loaded everything: ``python -m bench.growing``, with its environment.

Reads lines ``WORK ARGUMENT…`` and answers each with ``{"seconds": …}``, the median of ``TIMES`` where a work is small.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from itertools import chain, islice
from typing import Any

import django

from bench.author import Author, draft, trust_all
from bench.records import records

TIMES, ENOUGH = 9, 3.0  # how often a work is done, unless it takes so many seconds before
EDITED = "edited often"  # the title of the page that is


def found(pages: int) -> dict[str, Any]:
    """Publish some pages; one more is there to be edited."""
    from bench import site
    from content.models import Page, Section

    _carelessly()
    site.publish(pages)
    Page.objects.create(title=EDITED, section=Section.objects.get())
    return {}


def grow(rows: int, authors: int) -> dict[str, Any]:
    """Receive so many rows from so many authors, each a changeset of its own."""
    from content.models import Section
    from sync import trusting
    from sync.receive import receive

    _carelessly()
    section = Section.objects.get().token
    everybody = [Author(f"AUTHOR{number}-BENCH", draft) for number in range(1, authors + 1)]
    trust_all(everybody)
    trusting.current()  # outside of a transaction, as any request of a peer asks for it: so it is remembered
    made = ({**record, "section": section} for record in records(rows))
    shares = [rows // authors + (number < rows % authors) for number in range(authors)]
    frames = (author.frames(islice(made, share), together=200) for author, share in zip(everybody, shares, strict=True))
    receipt = receive(chain.from_iterable(frames))
    if receipt.applied != rows:
        raise RuntimeError(f"{receipt} came of {rows} rows")
    return {}


def edit(times: int) -> dict[str, Any]:
    """Save the page that is edited often, so often."""
    _carelessly()
    for number in range(times):
        _edit(number)
    return {}


@cache
def _edited() -> str:
    """Return the token of that page: it is looked for once, since no index has titles."""
    from content.models import Page

    return Page.objects.get(title=EDITED).pk


def _edit(number: int) -> None:
    from content.models import Page

    page = Page.objects.get(pk=_edited())
    page.summary = f"edited for the {number}th time at {time.time()}"
    page.save()


def change(count: int) -> dict[str, Any]:
    """Write into so many pages, a transaction each."""
    from content.models import Page

    for page in list(Page.objects.exclude(title=EDITED).order_by("token")[:count]):
        page.summary = f"changed at {time.time()}"
        page.save()
    return {}


def save() -> dict[str, Any]:
    """Save the page that is edited often."""
    return _median(lambda: _edit(0))


def status() -> dict[str, Any]:
    """Find out what ``sync_status`` prints."""
    from sync import status as found

    return _median(found.status)


def render() -> dict[str, Any]:
    """Render a public page: Django itself is asked, so no file answers."""
    from django.test import Client

    from content.models import Page

    client = Client(SERVER_NAME="localhost")
    path = Page.objects.exclude(publication=None).order_by("token")[0].get_absolute_url()

    def once() -> None:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} is answered by {answer.status_code}")

    once()  # with templates loaded
    return _median(once)


def derive() -> dict[str, Any]:
    """Derive the row that is edited often anew, from its own history."""
    from django.db import transaction

    from sync import rebuild
    from sync.registers import RowKey

    key = RowKey("content.page", _edited())

    def once() -> None:
        with transaction.atomic():
            rebuild.refold({key})

    return _median(once)


def pull(peer: str, expected: int) -> dict[str, Any]:
    """Pull what is new, which is so many changesets; measured once, or ``TIMES`` times if that is nothing."""
    from django.core.management import call_command

    def once() -> None:
        call_command("sync_pull", peer, json=True, stdout=(out := io.StringIO()))
        [answer] = json.loads(out.getvalue())["peers"]
        if expected >= 0 and answer["received"] != expected:
            raise RuntimeError(f"{answer} instead of {expected} changesets")

    return _median(once, 1 if expected else TIMES)


def _median(work: Callable[[], object], times: int = TIMES) -> dict[str, Any]:
    taken: list[float] = []
    while len(taken) < times and sum(taken) < ENOUGH:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return {"seconds": statistics.median(taken)}


def _carelessly() -> None:
    """Do not wait for the disk: what is made here is not measured."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")


def carefully() -> dict[str, Any]:
    """Wait for the disk from now on, as replicas do."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
    return {}


def main() -> None:
    """Answer line after line."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "edgecms.settings"
    django.setup()
    print("ready", flush=True)
    for line in sys.stdin:
        work, *words = line.split()
        arguments = [int(word) if word.lstrip("-").isdigit() else word for word in words]
        out, sys.stdout = sys.stdout, sys.stderr
        try:
            answer = globals()[work](*arguments)
        finally:
            sys.stdout = out
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

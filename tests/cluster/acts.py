"""What tests do at a replica beside its commands: write through the ORM, and look at everything it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.cluster.harness import Replica
from tests.content.editing import ADD, add_block, form_of

SAMPLE = Path(__file__).resolve().parent.parent.parent / "content" / "samples" / "18f"
Rows = dict[str, dict[str, dict[str, Any]]]

PUBLISH = """
from django.db import transaction
from content.models import Block, Page, Section
from content.publishing import publish
with transaction.atomic():
    section = Section.objects.order_by("token").first() or Section.objects.create(title="News")
    page = Page.objects.create(title=title, section=section, authors=["Ada"])
    Block.objects.create(parent=page, type="richtext", data={"html": f"<p>All about {title}.</p>"}, ordering="V")
    publish(page, author="ada")
answer = page.get_absolute_url()
"""
LOOK = """
from sync import status
from sync.models import Entry
from sync.registry import all_specs
rows = {
    spec.label: {
        row["token"]: {name: field.to_json(row[name]) for name, field in spec.fields.items()}
        for row in spec.model.objects.values("token", *spec.names)
    }
    for spec in all_specs()
}
log = sorted(bytes(dot).hex() for dot in Entry.objects.values_list("dot", flat=True))
answer = [rows, log, status.status()]
"""


class Look(NamedTuple):
    """All that a replica holds.

    ``rows``: every replicated row, model -> token -> field -> value. ``log``: the names of all changesets, sorted; one that
    is there twice appears twice. ``status``: what ``sync_status --json`` prints.
    """

    rows: Rows
    log: list[str]
    status: dict[str, Any]


def orm(replica: Replica, code: str, **values: Any) -> Any:
    """Run ``code`` in a process of ``replica``, with ``values`` as variables; return what it leaves in ``answer``, by JSON."""
    lines = [
        "import json",
        f"locals().update(json.loads({json.dumps(values)!r}))",
        "answer = None",
        code,
        "print()",
        "print(json.dumps(answer))",
    ]
    outcome = replica.manage("shell", "--no-imports", "--verbosity", "0", "--command", "\n".join(lines))
    assert outcome.code == 0, f"{replica.name}: {outcome.stdout}{outcome.stderr}"
    return json.loads(outcome.stdout.splitlines()[-1])


def publish(replica: Replica, title: str) -> str:
    """Write a page at ``replica`` and publish it, by the ORM; return its public address."""
    return str(orm(replica, PUBLISH, title=title))


def publish_by_form(client: httpx2.Client, title: str) -> str:
    """Write a page in the editor and publish it, as a browser that is logged in; return its public address."""
    form = form_of(client, ADD) | {"title": title, "_publish": ""}  # type: ignore[arg-type]
    add_block(form, "richtext", html=f"<p>All about {title}.</p>")
    answer = client.post(ADD, data=form)
    assert answer.status_code == 302, answer.text
    match = re.search(r'Published: <a href="([^"]+)">', client.get(answer.headers["location"]).text)
    assert match, f"the editor does not say that {title!r} was published"
    return match[1]


def shows(replica: Replica, path: str, title: str) -> bool:
    """Say whether readers of ``replica`` find the page ``title`` at ``path``."""
    answer = replica.get(path)
    return answer.status_code == 200 and f"All about {title}." in answer.text


def look(replica: Replica) -> Look:
    """Return all that ``replica`` holds, in one process."""
    return Look(*orm(replica, LOOK))


def look_at(replicas: Sequence[Replica]) -> list[Look]:
    """Look at several replicas at once."""
    with ThreadPoolExecutor(len(replicas)) as pool:
        return list(pool.map(look, replicas))


def media(replica: Replica) -> dict[str, bytes]:
    """Return the content of every blob of ``replica``, by the path it has in its folder of media."""
    root = replica.folder / "media"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("??/*")}


def differences(one: Rows, other: Rows) -> list[str]:
    """Return a line for each field in which two replicas differ, at most 20."""
    lines = [f"models: {sorted(one)} and {sorted(other)}"] if one.keys() != other.keys() else []
    for model in one.keys() & other.keys():
        for token in one[model].keys() | other[model].keys():
            here, there = one[model].get(token), other[model].get(token)
            if here is None or there is None:
                lines.append(f"{model} {token} is {'absent here' if here is None else 'absent there'}")
            elif here != there:
                lines += [f"{model} {token} {key}: {here[key]!r} and {there[key]!r}" for key in here if here[key] != there[key]]
    return lines[:20]


def digest(replica: Replica) -> str:
    """Return the digest that ``sync_status`` shows."""
    return str(replica.command("sync_status")["digest"])


def pull(replica: Replica, *names: str) -> dict[str, dict[str, Any]]:
    """Run ``sync_pull`` and return its report by peer. Raises CommandError where a peer failed."""
    return {peer["name"]: peer for peer in replica.command("sync_pull", *names)["peers"]}

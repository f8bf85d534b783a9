"""A replica as a process: does what is asked on standard input, a line of JSON each, and answers with one."""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from sync import exchange, log, registers, status, trust_admin, trusting  # noqa: E402
from sync.core import wire  # noqa: E402
from sync.core.policy import Party, Role  # noqa: E402
from sync.models import Entry  # noqa: E402
from sync.receive import receive  # noqa: E402
from sync.verify import verify  # noqa: E402

ANYBODY = Party(Role.MASTER)


def model(label: str) -> Any:
    """Return a model of the garden."""
    return apps.get_model("garden", label)


def me() -> dict[str, Any]:
    """Return what others enter of this replica."""
    return {
        "name": status.conf.name(),
        "role": status.conf.role(),
        "farm": status.conf.farm(),
        "key": status.keys.public_text(),
    }


def trust(name: str, role: str, farm: str, key: str) -> str:
    """Enter or pin a replica."""
    return str(trust_admin.trust(name, Role(role), farm, "", key)["result"])


def create(label: str, **values: Any) -> str:
    """Make a row and return its token."""
    return str(model(label).objects.create(**values).pk)


def save(label: str, token: str, **values: Any) -> None:
    """Change fields of a row."""
    row = model(label).objects.get(pk=token)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def rows(label: str, *names: str) -> dict[str, Any]:
    """Return token -> values of all rows."""
    return {token: values for token, *values in model(label).objects.values_list("token", *names)}


def said() -> list[list[Any]]:
    """Return what the last changeset of this replica wrote: model, token and fields of each row."""
    own = [changeset for _, changeset in log.scan(state=None) if changeset.head.name == status.conf.name()]
    return [[op.model, op.token, sorted({write.field for write in op.writes})] for op in own[-1].head.ops]


def have() -> list[Any]:
    """Return the tips."""
    return exchange.tips_as_json(exchange.tips_between(trusting.me(), ANYBODY))


def give(tips: list[Any]) -> str:
    """Return the stream of what a replica that has ``tips`` lacks."""
    stream = exchange.stream(exchange.tips_from_json(tips), trusting.me(), ANYBODY)
    return base64.b64encode(b"".join(stream)).decode()


def take(stream: str) -> dict[str, Any]:
    """Receive a stream."""
    receipt = receive(wire.frames([base64.b64decode(stream)]))
    return {"applied": receipt.applied, "quarantined": receipt.quarantined, "refused": receipt.refused}


def heads() -> dict[str, str]:
    """Return dot -> signed bytes and signature, of every changeset that is held."""
    return {entry.dot.hex(): c.raw.decode() + c.signature.hex() for entry, c in log.scan(state=None)}


def state() -> dict[str, Any]:
    """Return figures: digest, changesets, deferred and quarantined, and whether the tables are what the log says."""
    found = status.status()
    waiting = {item["reason"] for item in found["waiting"]}
    differences = [str(difference) for difference in verify()]
    counts = {"deferred": found["deferred"], "quarantined": found["quarantined"], "changesets": Entry.objects.count()}
    found = {"digest": registers.digest(), "database": connection.vendor, **counts}
    return {**found, "waiting": sorted(waiting), "differences": differences}


ACTS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (me, trust, create, save, said, rows, have, give, take, heads, state)
}


def main() -> None:
    """Migrate, then do what is asked until the input ends."""
    call_command("migrate", verbosity=0)
    print(json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        name, given, named = json.loads(line)
        try:
            answer = {"ok": ACTS[name](*given, **named)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

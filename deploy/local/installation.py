"""What has to be done once before three replicas can run: databases, accounts, trust, sample content."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.replica import TOP, CommandError, Replica

SAMPLE = TOP / "content" / "samples" / "18f"
# Printed and known to all: the servers listen on this machine only.
USERNAME, PASSWORD = "admin", "tide-on-the-thames"

Report = Callable[[str], None]


def replicas(root: Path, port: int) -> list[Replica]:
    """Return a master and two edges of the farm ``thames`` on three ports in a row; data in ``root``."""
    fast = {"EDGECMS_SYNC_INTERVAL": "2"}
    places = [
        ("MASTER01", "master", "", "master"),
        ("EDGE01", "edge", "thames", "edge1"),
        ("EDGE02", "edge", "thames", "edge2"),
    ]
    return [
        Replica(node, "LON", role, farm, root / folder, port + offset, extra=fast)
        for offset, (node, role, farm, folder) in enumerate(places)
    ]


def each(replicas: Sequence[Replica], work: Callable[[Replica], object]) -> list[object]:
    """Do the work for all replicas at once; the first error is raised after all have ended."""
    with ThreadPoolExecutor(len(replicas)) as pool:
        return list(pool.map(work, replicas))


class Notes:
    """What has been done already, kept in a file, so that an interrupted first run is taken up where it stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}

    def once(self, step: str, fact: object, work: Callable[[], object]) -> None:
        """Do the work unless it was done for the same ``fact``."""
        if self.done.get(step) == fact:
            return
        work()
        self.done[step] = fact
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.done, indent=1))
        fresh.replace(self.path)


def prepare(members: Sequence[Replica], notes: Notes, report: Report) -> None:
    """Bring databases up to date and make the accounts and the trust. What is done already is left as it is."""
    report("databases")
    each(members, lambda replica: replica.must("migrate", "--verbosity", "0"))
    report("accounts")
    notes.once("accounts", USERNAME, lambda: each(members, make_account))
    report("keys")
    notes.once("trust", [replica.url for replica in members], lambda: exchange_keys(members[0], members[1:]))


def make_account(replica: Replica) -> None:
    """Make the first account, unless there is one of that name."""
    login = {"USERNAME": USERNAME, "EMAIL": "admin@localhost.localdomain", "PASSWORD": PASSWORD}
    env = {f"DJANGO_SUPERUSER_{key}": value for key, value in login.items()}
    outcome = replica.manage("createsuperuser", "--noinput", env=env)
    if outcome.code and "already taken" not in outcome.stderr:
        raise CommandError(f"{replica.name}: createsuperuser ended with status {outcome.code}:\n{outcome.stderr}")


def exchange_keys(master: Replica, edges: Sequence[Replica]) -> None:
    """Let the master trust every edge, and every edge the master; the edges learn of each other from the master."""
    keys = dict(zip([master.name, *(edge.name for edge in edges)], each([master, *edges], identify), strict=True))

    def introduce(replica: Replica) -> None:
        for other in edges if replica is master else [master]:
            replica.trust(other, str(keys[other.name]))

    each([master, *edges], introduce)


def identify(replica: Replica) -> object:
    """Return the public key of a replica, as ``sync_identity`` prints it."""
    return replica.must("sync_identity", parse=True)["key"]


def load_sample(master: Replica, edges: Sequence[Replica], report: Report) -> None:
    """Import the sample on the master and let the edges pull it."""
    report("sample content")
    master.must("import_pages", str(SAMPLE), parse=True)
    report("the edges pull it")
    each(edges, lambda edge: edge.must("sync_pull", parse=True))

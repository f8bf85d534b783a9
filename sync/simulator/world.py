"""A site in one process: replicas that know and trust each other, the network between them, the witness, and what happened."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import connection

from sync import conf, conversation, jobs, local, log, peers, place, sweep, trust_admin
from sync.core.changeset import Changeset
from sync.core.policy import Verb
from sync.models import Entry
from sync.simulator import schema
from sync.simulator.chance import Chance
from sync.simulator.deeds import Tab
from sync.simulator.ledger import Ledger, WrongError
from sync.simulator.network import Line, Network
from sync.simulator.replica import Replica
from sync.simulator.script import Script


class World:
    """``replicas`` by label; ``trace`` has a line for all that happened; ``tally`` counts steps and faults by kind."""

    def __init__(self, stores: Any, script: Script) -> None:
        self.stores, self.script = stores, script
        self.folder = Path(tempfile.mkdtemp(prefix="edgecms-simulated-"))
        self.chance, self.ledger = Chance(), Ledger()
        self.trace: list[str] = []
        self.tally: Counter[str] = Counter()
        self.tabs: dict[str, list[Tab]] = {}
        self.applied: dict[str, set[bytes]] = {}
        self.backups: dict[str, Any] = {}
        self.disks = self.keys = 0  # how many there have been
        self.own: dict[str, set[bytes]] = {}  # what each replica made, or inherited with its database
        self.left: dict[str, set[str]] = {}  # incarnations under which a replica must write no more
        self.founded = 0  # the end of the log where nobody has written yet
        self.wakes: list[tuple[str, str]] = []
        self.network = Network(self.tally)
        self.network.find = self.find
        self.network.caller = lambda: self.stack[-1]
        self.stack: list[Replica] = []
        self.replicas: dict[str, Replica] = {}

    def say(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(text)

    def find(self, name: str) -> Replica | None:
        """Return who answers at the address of ``name``: of several under one name, any."""
        found = [replica for replica in self.replicas.values() if replica.name == name]
        return self.chance.random.choice(found) if len(found) > 1 else found[0] if found else None

    @contextmanager
    def at(self, replica: Replica) -> Iterator[Replica]:
        """Be ``replica`` within."""
        self.stack.append(replica)
        try:
            with replica.here():
                yield replica
        finally:
            self.stack.pop()

    @contextmanager
    def running(self) -> Iterator[World]:
        """Let time, randomness, network and queue be those of this world; afterwards nothing of it is left."""
        line = type("WorldLine", (Line,), {"network": self.network})
        with ExitStack() as stack:
            stack.enter_context(self.chance.rules())
            stack.enter_context(schema.by_release())
            stack.enter_context(patch.object(conversation, "Peer", line))
            stack.enter_context(patch.object(jobs, "wake", self._wake))
            stack.enter_context(patch.object(place, "here", lambda: self.stack[-1].disk))
            try:
                self._found()
                yield self
            finally:
                for replica in self.replicas.values():
                    self.stores.release(replica.database)
                shutil.rmtree(self.folder, ignore_errors=True)

    def _wake(self, peer: str = "", source: str = "") -> None:
        if self.stack:
            self.wakes = [*self.wakes[-20:], (self.stack[-1].label, peer)]

    def _found(self) -> None:
        """Bring up the site: always the same for one cast, so that its databases are made once and copied afterwards."""
        copies = self.stores.sites.get(self.script.places)
        for number, each in enumerate(self.script.places):
            database = self.stores.open(copies[number][0] if copies else None)
            replica = self.add(Replica(each, self.folder, database, self.chance, disk=self.new_disk()))
            if copies:
                replica.put_mark(copies[number][1])
        if copies is None:
            self._introduce()
            copies = [(self.stores.take(replica.database), replica.mark) for replica in self.replicas.values()]
            self.stores.sites[self.script.places] = copies
        with self.at(self.root):
            self.founded = position()
            self.inherit(self.root)
        self.wakes.clear()
        self.network.bodies.clear()

    def _introduce(self) -> None:
        """The first master enters everybody, everybody pins it and fetches the list."""
        root, *others = self.replicas.values()
        with self.at(root):
            for other in others:
                trust_admin.trust(other.name, other.place.role, other.place.farm, other.url, other.public_text)
        for other in others:
            with self.at(other):
                trust_admin.trust(root.name, root.place.role, "", root.url, root.public_text, is_root=True)
                sweep.prepare()
                conversation.exchange_with(peers.named(root.name, Verb.PULL), {Verb.PULL})

    def add(self, replica: Replica) -> Replica:
        """Let one more replica take part."""
        self.replicas[replica.label] = replica
        return replica

    def check_applied(self, replica: Replica) -> None:
        """Raise WrongError where what counted here counts no more, though nobody changed the trusted list; or counts too early."""
        bound = local.now_ms(local.state()) + conf.max_clock_drift_ms()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT dot, ms FROM {log.ENTRY} WHERE state = 0")  # noqa: S608
            stamps = {bytes(dot): ms for dot, ms in cursor.fetchall()}
        self._learn(replica, stamps.keys() - self.ledger.changesets.keys())
        before = self.applied.get(replica.label, set())
        for dot in before - stamps.keys():
            known = self.ledger.changesets.get(dot)
            if known is None or known.head.name not in self.ledger.judged:
                raise WrongError(f"{replica.label}: {dot.hex()[:8]} was applied, and is no more")
        early = [dot for dot in stamps.keys() - before if stamps[dot] > bound and dot not in self.own.get(replica.label, ())]
        early = [dot for dot in early if not self._is_overwritten(dot, stamps.keys())] if before else []
        if early:
            raise WrongError(f"{replica.label}: {early[0].hex()[:8]} counts, and its clock runs ahead of the wall here")
        self.applied[replica.label] = set(stamps)

    def _is_overwritten(self, dot: bytes, counting: Iterable[bytes]) -> bool:
        """Whether what counts has overwritten all that ``dot`` wrote, and answered or repeated its deletions: it can win nothing then."""
        ops = self.ledger.changesets[dot].head.ops
        left = {
            (op.token, key)
            for op in ops
            for key in [None if op.seen is not None else "", *(w.key for w in op.writes)]
            if key != ""
        }
        for later in (self.ledger.changesets[each] for each in counting):
            refs = later.refs()
            if dot in refs:
                for op in later.head.ops:
                    named = {w.key for w in op.writes if dot in {refs[index] for index in w.over}}
                    is_seen = dot in {refs[index] for index in op.seen or ()}
                    left -= {(op.token, key) for key in named | ({None} if named or is_seen else set())}
        return not left

    def _learn(self, replica: Replica, dots: set[bytes]) -> None:
        """Take note of changesets that nobody held before: what bears the name of ``replica`` it has made by itself."""
        found = log.changesets(dots) if dots else {}
        self.ledger.learn(found.values())
        mine = {dot for dot, changeset in found.items() if changeset.head.name == replica.name}
        self.own.setdefault(replica.label, set()).update(mine)

    def check_incarnation(self, replica: Replica, made: list[Changeset]) -> None:
        """Raise WrongError where ``made`` goes on in a chain that others have written to, and this replica could know it."""
        mine = self.own.setdefault(replica.label, set())
        mine.update(changeset.dot for changeset in made)
        incarnations = {changeset.head.incarnation for changeset in made}
        if not incarnations:
            return
        if incarnations & self.left.get(replica.label, set()):
            raise WrongError(f"{replica.label}: goes on under an incarnation that it had to leave: {sorted(incarnations)}")
        chains = Entry.objects.filter(chain__name=replica.name, chain__incarnation__in=incarnations)
        foreign = {bytes(dot) for dot in chains.values_list("dot", flat=True)} - mine
        if foreign:
            names = sorted(dot.hex()[:8] for dot in foreign)
            raise WrongError(f"{replica.label}: goes on in a chain in which somebody else wrote {names}")

    def inherit(self, replica: Replica) -> None:
        """Note that what stands in the chains of ``replica`` here, where it runs, is its own."""
        dots = Entry.objects.filter(chain__name=replica.name).values_list("dot", flat=True)
        self.own[replica.label] = {bytes(dot) for dot in dots}

    def new_disk(self) -> str:
        """Return the name of a file system that no database was on yet."""
        self.disks += 1
        return f"disk {self.disks}"

    @property
    def root(self) -> Replica:
        """The first master."""
        return next(iter(self.replicas.values()))

    def place(self, number: int) -> Replica:
        """Return the replica at a place of the script."""
        replicas = list(self.replicas.values())
        return replicas[number % len(replicas)]


def position() -> int:
    """Return the end of the log here."""
    return Entry.objects.order_by("-position").values_list("position", flat=True).first() or 0


def since(start: int) -> list[Changeset]:
    """Return the changesets that came into the log here after ``start``."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT dot FROM {log.ENTRY} WHERE position > %s ORDER BY position", [start])  # noqa: S608
        dots = [bytes(dot) for (dot,) in cursor.fetchall()]
    found = log.changesets(dots)
    return [found[dot] for dot in dots]


def everything() -> dict[bytes, tuple[int, Changeset]]:
    """Return all changesets in the log here with their states."""
    return {entry.dot: (entry.state, changeset) for entry, changeset in log.scan(state=None)}

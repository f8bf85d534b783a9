"""Releases N-1, N and N+1 of the schema in one farm, each with a database and processes of its own.

Whatever a release does not know it stores, passes on as it was signed, and shows after the upgrade; digests are equal throughout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import find, require

TOP = Path(__file__).resolve().parents[2]


class Replica:
    """A replica in some release. ``upgrade`` ends its process, and starts the next release over the same database."""

    def __init__(self, folder: Path, node: str, role: str, release: int, farm: str = "", database_url: str = "") -> None:
        self.folder, self.release = folder / node, release
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("EDGECMS_", "DJANGO_"))}
        self.env |= {"EDGECMS_NODE": node, "EDGECMS_LOC": "LON", "EDGECMS_ROLE": role, "EDGECMS_FARM": farm}
        self.env |= {"EDGECMS_DATA": str(self.folder), "DJANGO_SETTINGS_MODULE": "tests.upgrade.settings"}
        self.env["DATABASE_URL"] = database_url
        self.start()

    def start(self) -> None:
        self.log = (self.folder.parent / f"{self.folder.name}.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.upgrade.agent"],
            cwd=TOP,
            env={**self.env, "GARDEN_RELEASE": str(self.release)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def ready(self) -> Replica:
        """Wait until it has migrated."""
        assert self._answer() == "ready"
        return self

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, Path(self.log.name).read_text()[-3000:]
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def do(self, act: str, /, *given: Any, **named: Any) -> Any:
        """Have an act of ``tests.upgrade.agent`` done, and return what it returns."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([act, given, named]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def pull(self, peer: Replica) -> dict[str, Any]:
        """Take from ``peer`` what is not here."""
        receipt: dict[str, Any] = self.do("take", peer.do("give", self.do("have")))
        assert not receipt["refused"]
        return receipt

    def upgrade(self, release: int) -> None:
        """Go on in the next release; the database is migrated."""
        self.end()
        self.release = release
        self.start()
        self.ready()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.log.close()


class Farm:
    """A master in the second release, an edge in the first, an edge in the third, and two in the first that are upgraded.

    The newest edge and one that is upgraded are on PostgreSQL: ``database`` makes a database and returns its DATABASE_URL.
    """

    def __init__(self, folder: Path, database: Callable[[], str]) -> None:
        self.mid = Replica(folder, "MASTER01", "master", 2)
        self.old = Replica(folder, "EDGE01", "edge", 1, "thames")
        self.new = Replica(folder, "EDGE02", "edge", 3, "thames", database())
        self.late = [Replica(folder, "EDGE03", "edge", 1, "thames"), Replica(folder, "EDGE04", "edge", 1, "thames", database())]
        self.all = [self.mid, self.old, self.new, *self.late]
        root = self.mid.ready().do("me")
        for edge in self.all[1:]:
            self.mid.do("trust", **edge.ready().do("me"))
            edge.do("trust", **{**root, "farm": ""})
        self.meet()

    def meet(self) -> None:
        """Exchange until everybody has everything; the old edge stands between the master and the newest."""
        for _ in range(2):
            for a, b in (
                (self.old, self.mid),
                (self.new, self.old),
                *((late, self.old) for late in self.late),
                (self.old, self.new),
                (self.mid, self.old),
            ):
                a.pull(b)
        for late in self.late:
            self.old.pull(late)
        self.mid.pull(self.old)
        self.new.pull(self.old)

    def digests(self) -> set[str]:
        """Return the digests of all, and see that nobody has a quarantined changeset or a row that its log does not have."""
        states = [replica.do("state") for replica in self.all]
        assert [(state["quarantined"], state["differences"]) for state in states] == [(0, [])] * len(states)
        return {state["digest"] for state in states}


@pytest.fixture(scope="module")
def farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """The farm, whose replicas trust each other. Where there is no PostgreSQL all of it is on SQLite; see the first test."""
    is_there = find("postgres") is not None
    database = request.getfixturevalue("postgresql_server").database if is_there else str
    found = Farm(tmp_path_factory.mktemp("upgrade"), database)
    try:
        yield found
    finally:
        for replica in found.all:
            replica.end()


@pytest.mark.postgresql
def test_both_databases_take_part(farm: Farm) -> None:
    """What follows holds between them, and for an upgrade of either."""
    require("postgres")
    assert {replica.do("state")["database"] for replica in farm.late} == {"sqlite", "postgresql"}
    assert farm.new.do("state")["database"] == "postgresql"


def test_a_model_and_a_field_that_an_older_release_does_not_know_are_passed_on_as_they_were_signed(farm: Farm) -> None:
    """The old edge shows what it knows, counts the rest, and hands all of it to the newest, byte for byte."""
    plant = farm.mid.do("create", "plant", title="Willow", soil="wet", height=12)
    bed = farm.mid.do("create", "bed", title="By the river", plant_id=plant)
    farm.meet()
    assert farm.old.do("rows", "plant", "title")[plant] == ["Willow"]
    assert farm.old.do("state")["waiting"] == ["unknown_field garden.plant height", "unknown_model garden.bed"]
    assert farm.new.do("rows", "plant", "title", "soil", "height")[plant] == ["Willow", "wet", 12]
    assert farm.new.do("rows", "bed", "title", "plant_id")[bed] == ["By the river", plant]
    assert farm.new.do("heads") == farm.mid.do("heads") == farm.old.do("heads")
    assert len(farm.digests()) == 1


def test_an_edit_in_an_older_release_keeps_what_it_does_not_know(farm: Farm) -> None:
    """It writes what it changed, and nothing else."""
    plant = farm.mid.do("create", "plant", title="Alder", soil="wet", height=9)
    farm.meet()
    farm.old.do("save", "plant", plant, title="Black alder")
    farm.meet()
    assert farm.mid.do("rows", "plant", "title", "soil", "height")[plant] == ["Black alder", "wet", 9]
    assert len(farm.digests()) == 1


def test_a_field_that_must_not_be_empty_and_that_an_older_release_did_not_write(farm: Farm) -> None:
    """What comes from there is shown with what is empty, or with the default; it can be edited, and given a value."""
    plant = farm.old.do("create", "plant", title="Sedge")
    farm.meet()
    assert farm.mid.do("rows", "plant", "soil", "height")[plant] == ["", 7]
    farm.new.do("save", "plant", plant, soil="peat")
    farm.meet()
    assert farm.mid.do("rows", "plant", "soil", "height")[plant] == ["peat", 7]
    assert len(farm.digests()) == 1


def test_a_field_that_a_newer_release_has_renamed_or_removed(farm: Farm) -> None:
    """The renamed one is one field for all, whoever writes it; of the removed one nothing waits, and the others keep it."""
    plant = farm.old.do("create", "plant", title="Rose", colour="red", notes="thorns")
    farm.meet()
    assert farm.new.do("rows", "plant", "hue")[plant] == ["red"]
    assert farm.new.do("state")["deferred"] == 0
    farm.new.do("save", "plant", plant, hue="white")
    farm.meet()
    assert farm.mid.do("rows", "plant", "colour", "notes")[plant] == ["white", "thorns"]
    farm.mid.do("save", "plant", plant, colour="pink")
    farm.meet()
    assert [farm.new.do("rows", "plant", "hue")[plant], farm.old.do("rows", "plant", "colour")[plant]] == [["pink"], ["pink"]]
    assert len(farm.digests()) == 1


@pytest.mark.parametrize("number", [0, 1], ids=["sqlite", "postgresql"])
def test_an_upgrade_shows_what_had_come_and_says_nothing(farm: Farm, number: int) -> None:
    """From the first release to the third: what waited is shown; a column with a default, a rename, and a removal are no news.

    Nor does the next save of such a row say more than what was changed in it.
    """
    late = farm.late[number]
    plant = farm.mid.do("create", "plant", title="Iris", soil="wet", height=3, colour="blue")
    mine = late.do("create", "plant", title="Flag", colour="yellow")
    bed = farm.mid.do("create", "bed", title="Shore", plant_id=plant)
    farm.meet()
    before = late.do("state")
    assert before["deferred"] > 0
    for release in (2, 3):
        late.upgrade(release)
        after = late.do("state")
        assert (after["digest"], after["changesets"], after["differences"]) == (before["digest"], before["changesets"], [])
        assert (after["deferred"], after["waiting"]) == (0, [])
        if release == 2:
            late.do("save", "plant", mine, title="Yellow flag")
            assert late.do("said") == [["garden.plant", mine, ["title"]]]
            assert farm.old.pull(late)["applied"] == 1
            before = late.do("state")
    assert late.do("rows", "plant", "title", "soil", "height", "hue")[plant] == ["Iris", "wet", 3, "blue"]
    assert late.do("rows", "plant", "title", "soil", "height", "hue")[mine] == ["Yellow flag", "", 7, "yellow"]
    assert farm.mid.do("rows", "plant", "title", "soil", "height", "colour")[mine] == ["Flag", "", 7, "yellow"]
    assert late.do("rows", "bed", "plant_id")[bed] == [plant]
    assert farm.old.pull(late)["applied"] == 0
    late.do("save", "plant", mine, hue="gold")
    assert late.do("said") == [["garden.plant", mine, ["colour"]]]
    assert farm.old.pull(late)["applied"] == 1
    farm.meet()
    assert farm.old.do("rows", "plant", "title", "colour")[mine] == ["Yellow flag", "gold"]
    assert len(farm.digests()) == 1

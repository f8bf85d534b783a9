"""The documentation names only what exists, and names everything that a reader relies on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandParser

from edgecms import environment
from edgecms.health import PROBES
from sync.core.errors import SyncError
from sync.registry import POLICIES
from sync.replicated import ReplicatedModel

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
# Read by gunicorn, by the tests or by Django itself, not by edgecms/environment.py.
OTHERS = {"EDGECMS_IMPORT_CORPUS"}

# Our management commands, by name, with the app that has them.
ALIKE = ("migrate",)  # Django's, made safer; its options are Django's own
OURS = {name: app for name, app in get_commands().items() if app in ("edgecms", "sync", "content") and name not in ALIKE}

every_page = pytest.mark.parametrize("document", PAGES, ids=[str(page.relative_to(TOP)) for page in PAGES])


class Asked(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def get(self, name: str, default: object = None) -> None:  # type: ignore[override]
        """Remember the name; nothing is set."""
        self.names.append(name)


def settings_of_the_program() -> list[str]:
    """Return the variables that the program reads, in its order."""
    asked = Asked()
    environment.read(asked)
    return asked.names


def anchors(page: Path) -> set[str]:
    """Return what a link to a heading of this page may name."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file or folder that exists, and a heading that it has."""
    for link in LINK.findall(document.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} names no heading of {target.name}"


@every_page
def test_commands_exist(document: Path) -> None:
    """Every management command that is named can be run. (One code of errors looks like a command.)"""
    named = re.findall(r"manage\.py ([a-z_]+)|\b(sync_[a-z]+|import_pages)\b", document.read_text())
    assert not {command for pair in named for command in pair if command} - set(get_commands()) - {SyncError.code}


@every_page
def test_variables_exist(document: Path) -> None:
    """Every variable of ours that is named is read by the program."""
    named = set(re.findall(r"\bEDGECMS_[A-Z_]+\b", document.read_text()))
    assert not named - set(settings_of_the_program()) - OTHERS


@every_page
def test_verbs_exist(document: Path) -> None:
    """Every `make` verb that is named in code is in the Makefile."""
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", document.read_text(), re.MULTILINE))
    verbs = set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    assert not named - verbs


def test_every_setting_is_described() -> None:
    """The table of settings has one row for each variable that the program reads, and no other."""
    section = (TOP / "docs" / "operating.md").read_text().split("## Settings")[1].split("\n## ")[0]
    described = re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)
    assert sorted(described) == sorted(settings_of_the_program())


def parser_of(name: str) -> CommandParser:
    """Return the parser of a management command, without the options that Django gives to all."""
    parser = CommandParser()
    load_command_class(OURS[name], name).add_arguments(parser)
    return parser


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_described_with_its_options(name: str) -> None:
    """The table of commands has a row for each of ours, which shows every option and argument, and no other."""
    section = (TOP / "docs" / "operating.md").read_text().split("## Commands")[1].split("\nWhat `--json` gives")[0]
    [usage] = re.findall(rf"^\| `{name}( [^`]*)?` \| [^|]{{10,}}", section, re.MULTILINE)
    actions = [action for action in parser_of(name)._actions if action.dest != "help"]
    options = {option for action in actions for option in action.option_strings}
    words = {str(action.metavar or action.dest).upper() for action in actions if not action.option_strings}
    assert set(re.findall(r"--[a-z-]+", usage)) == options
    assert words <= set(re.findall(r"[A-Z]+", usage))


@pytest.mark.django_db
def test_every_figure_of_the_status_is_described() -> None:
    """The table of `sync_status` has exactly the keys that it prints."""
    from sync.status import status

    section = (TOP / "docs" / "operating.md").read_text().split("### What `sync_status` says")[1].split("\n## ")[0]
    described = {key for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert described - {"behind", "ahead"} == set(status())


def test_every_code_of_errors_is_explained() -> None:
    """The table of troubles names every code by which an exchange or a command can fail, but for those that carry others."""
    section = (TOP / "docs" / "operating.md").read_text().split("## When something is wrong")[1]
    found = {kind.code for kind in descendants(SyncError)} | {"unforeseen"}
    assert not found - {"rejected", "retry_later"} - set(re.findall(r"`(\w+)`", section))


def descendants(kind: type[SyncError]) -> Iterator[type[SyncError]]:
    """Yield all classes below ``kind``."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def test_every_check_is_explained() -> None:
    """Each system check of ours stands in the documentation, and each that stands there is made."""
    sources = "".join(path.read_text() for name in ("edgecms", "sync", "content") for path in (TOP / name).rglob("*.py"))
    pages = "".join(page.read_text() for page in PAGES)
    made = set(re.findall(r'id="((?:edgecms|sync|content)\.[EW][0-9]{3})"', sources))
    assert made == set(re.findall(r"`((?:edgecms|sync|content)\.[EW][0-9]{3})`", pages))


def test_every_policy_and_every_declaration_is_explained() -> None:
    """docs/models.md has a row for each policy, and one for each attribute that a model may declare."""
    text = (TOP / "docs" / "models.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    declared = set(re.findall(r"^    - ``(\w+)``", str(ReplicatedModel.__doc__), re.MULTILINE))
    assert rows == {*POLICIES, *declared}


def test_every_decision_is_listed() -> None:
    """The pages of decisions are numbered without gaps, and each stands in the list with its own title."""
    folder = TOP / "docs" / "decisions"
    pages = sorted(page for page in folder.glob("*.md") if page.name != "README.md")
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert listed == [(page.name[:4], page.name, page.read_text().splitlines()[0].removeprefix("# ")) for page in pages]


def test_every_page_is_listed() -> None:
    """The list of the documentation has each page."""
    folder = TOP / "docs"
    assert set(re.findall(r"\]\((\S+\.md)\)", (folder / "README.md").read_text())) >= {
        page.name for page in folder.glob("*.md") if page.name != "README.md"
    }


def test_every_probe_is_described() -> None:
    """The table of health addresses has exactly those that are answered."""
    section = (TOP / "docs" / "operating.md").read_text().split("## Health and numbers")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(/[a-z]+)` \|", section, re.MULTILINE)) == set(PROBES)


def test_login_in_the_readme_is_the_one_that_run_makes() -> None:
    """The login that the README shows opens the door."""
    from deploy.local.installation import PASSWORD, USERNAME

    assert f"{USERNAME} / {PASSWORD}" in (TOP / "README.md").read_text()


def test_every_verb_is_explained() -> None:
    """`make help` has a line for each verb."""
    text = (TOP / "Makefile").read_text()
    declared = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
    assert set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE)) == set(declared)


def test_ci_is_executable() -> None:
    """`.ci/run` can be called as it is."""
    assert os.access(TOP / ".ci" / "run", os.X_OK)

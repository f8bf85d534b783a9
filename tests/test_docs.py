"""The documentation names only what exists, and names everything that a reader relies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from edgecms import environment
from edgecms.health import PROBES
from sync.core.errors import SyncError

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
# Read by gunicorn, by the tests or by Django itself, not by edgecms/environment.py.
OTHERS = {"EDGECMS_IMPORT_CORPUS"}

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

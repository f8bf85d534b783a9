"""Reading docs/sync-protocol.md: its examples and its tables."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TEXT = (TOP / "docs" / "sync-protocol.md").read_text()


def example(name: str) -> str:
    """Return the block of code under the mark of this name."""
    found = re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)\n```", TEXT, re.DOTALL)
    assert found, f"the page has no example {name}"
    return found[1]


def words(name: str) -> dict[str, str]:
    """Return an example whose lines are words and a value, set apart by two spaces or more, as a mapping."""
    lines = [re.split(r" {2,}", line) for line in example(name).splitlines()]
    return {" ".join(line[:-1]): line[-1] for line in lines}


def section(heading: str) -> str:
    """Return the text under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {heading}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """Return the rows of all tables in ``text`` as lists of cells; lines under headings are left out."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [cells for cells in found if cells[0].startswith("`")]

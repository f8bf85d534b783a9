"""The page that everybody edits: every second block is text, the others are of all other types in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TITLE, SUMMARY = "The page of {} blocks", "What it is about, in a sentence or two."
WORD = "Version"  # followed by a number, in one value of each block: what a save changes
WORDS = " ".join(["The boats came in with the morning tide and lay at the quay"] * 8)
OTHERS = ("image", "quote", "code", "table", "callout")


def blocks(count: int, image: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``count`` blocks, each as its type and its values; ``image`` is the key of a picture that is there."""
    for number in range(count):
        kind = OTHERS[number // 2 % len(OTHERS)] if number % 2 else "richtext"
        yield kind, _values(kind, f"{WORD} 0 of {number}", image)


def _values(kind: str, text: str, image: str) -> dict[str, Any]:
    return {
        "richtext": {"html": f"<h2>{text}</h2><p>{WORDS}</p>"},
        "image": {"asset": image, "alt": text, "caption": "<p>In <em>May</em></p>"},
        "quote": {"html": f"<p>{text}</p>", "attribution": "Ada"},
        "code": {"code": f"# {text}\ndef tide():\n    return 1\n", "language": "python"},
        "table": {"rows": [["Boat", "Length"], [text, "12 m"]], "header": True, "caption": "All of them"},
        "callout": {"html": f"<p>{text}</p>", "tone": "tip"},
    }[kind]

"""Front matter: the YAML between two lines of ``---`` at the top of a file, read into what a page needs.

Nothing in it is trusted: only plain YAML is read, and of each field only the shapes that Jekyll, Hugo and Eleventy use.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.utils.dateparse import parse_date, parse_datetime

from content.blocks import text_of
from content.importing.report import Drops, PageError, shorten

MAX_FRONT_MATTER = 64 * 1024  # characters
MAX_LIST = 200  # tags, authors or redirects of one page
FENCE = re.compile(r"---[ \t]*")
DATED_NAME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})-(.+)")


@dataclass(slots=True)
class Matter:
    """What the front matter says, and ``raw``, all of it, for the variables that a text may use."""

    title: str
    date: datetime.datetime | None
    summary: str = ""
    seo_description: str = ""
    tags: list[str] = field(default_factory=list)
    authors: list[str] = field(default_factory=list)
    section: str = ""
    image: str = ""
    image_alt: str = ""
    image_caption: str = ""
    hero: bool = True
    draft: bool = False
    slug: str = ""
    permalink: str = ""
    redirects: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)


def split(text: str) -> tuple[str, str, int]:
    """Return the front matter, the body, and the number of the line on which the body begins.

    Raises PageError where there is no front matter or it does not end.
    """
    lines = text.split("\n")
    if lines[0].strip() == "+++":
        raise PageError(1, "the front matter is TOML (+++); write it as YAML between two lines of ---")
    if not FENCE.fullmatch(lines[0]):
        raise PageError(1, "there is no front matter; begin the file with a block of YAML between two lines of ---")
    end = next((number for number, line in enumerate(lines[1:], 1) if FENCE.fullmatch(line)), None)
    if end is None:
        raise PageError(1, "the front matter does not end; close it with a line of ---")
    front = "\n".join(lines[1:end])
    if len(front) > MAX_FRONT_MATTER:
        raise PageError(1, f"the front matter is longer than {MAX_FRONT_MATTER} characters")
    return front, "\n".join(lines[end + 1 :]), end + 2


def parse(front: str, stem: str, drops: Drops) -> Matter:
    """Read the front matter of the file named ``stem`` (without its suffix). Raises PageError with the line in the file."""
    return _Reader(_load(front), front, drops).matter(stem)


class _Loader(yaml.SafeLoader):
    """Reads plain YAML, and says on which line a value is that looks like a date or number and is none."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            reason = f"{shorten(str(node.value), 60)} is no value: {error}"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark) from error


def _load(front: str) -> dict[str, Any]:
    try:
        values = _Loader(front).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as first:
        # Other readers of YAML forgive blanks and tabs at the end of a line; the second try forgives them too.
        try:
            values = _Loader("\n".join(line.rstrip() for line in front.split("\n"))).get_single_data()
        except (yaml.YAMLError, ValueError, RecursionError):
            raise PageError(_yaml_line(first), f"the front matter is not valid YAML: {_yaml_reason(first)}") from None
    if not isinstance(values, dict):
        raise PageError(2, "the front matter is not a list of names and values (name: value)")
    return {str(name).strip(): value for name, value in values.items()}


def _yaml_line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 2 if mark else 1


def _yaml_reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return shorten(str(getattr(error, "problem", None) or getattr(error, "reason", None) or error), 200)


class _Reader:
    """Reads fields out of a front matter, and knows on which line each one stands."""

    def __init__(self, values: dict[str, Any], front: str, drops: Drops) -> None:
        self.values = values
        self.front = front
        self.drops = drops

    def line(self, *names: str) -> int:
        """Return the line of the first of ``names`` that is there; the first line of the file where none is."""
        for number, line in enumerate(self.front.split("\n"), 2):
            if line.split(":", 1)[0].strip(" \"'") in names:
                return number
        return 1

    def matter(self, stem: str) -> Matter:
        """Return the whole front matter as a Matter."""
        title = self.short(200, "title")
        if not title:
            raise PageError(self.line("title"), "the front matter has no title; add a line such as: title: Hello")
        description = self.text("description")
        summary = self.text("excerpt", "summary", "subtitle") or description
        return Matter(
            title=title,
            date=self.date(stem),
            summary=summary,
            seo_description=shorten(description or summary, 320),
            tags=sorted(set(self.texts("tags", "tag", "keywords"))),
            authors=list(dict.fromkeys(self.texts("authors", "author", "byline"))),
            section=self.section(),
            image=self.picture(),
            image_alt=self.text("image_alt", "image-alt") or self.inside("image", "alt"),
            image_caption=self.scalar("image_figcaption", "image_caption", "image-caption").strip(),
            hero=self.values.get("hero") is not False,
            draft=self.flag("draft") or self.values.get("published") is False,
            slug=self.scalar("slug").strip(),
            permalink=self.scalar("permalink", "url").strip(),
            redirects=self.texts("redirect_from", "aliases", "redirects"),
            raw=self.values,
        )

    def scalar(self, *names: str) -> str:
        """Return the first of ``names`` that holds a single value, as text as it stands; empty where none does."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, (str, int, float, datetime.date)) and not isinstance(value, bool) and value != "":
                return self.safe(str(value), name)
        return ""

    def safe(self, value: str, name: str) -> str:
        """Return ``value`` unless it holds what no database stores."""
        if "\0" in value or re.search(r"[\ud800-\udfff]", value):
            raise PageError(self.line(name), f"{name} holds a character that is not text")
        return value

    def text(self, *names: str) -> str:
        """Return a single value without markup, white space folded."""
        return text_of(self.scalar(*names))

    def short(self, length: int, *names: str) -> str:
        """Return a text of at most ``length`` characters; what is cut off is noted."""
        text = self.text(*names)
        if len(text) > length:
            self.drops.add(
                self.line(*names), f"the end of the {names[0]}: {text[length - 1 :]}", f"longer than {length} characters"
            )
        return shorten(text, length)

    def texts(self, *names: str) -> list[str]:
        """Return a list of texts. One text is split at commas, or else at white space as Jekyll does."""
        name = next((name for name in names if self.values.get(name)), names[0])
        value = self.values.get(name)
        if isinstance(value, str):
            value = value.split(",") if "," in value else [value] if name not in ("tags", "tag", "keywords") else value.split()
        if isinstance(value, dict):
            value = [value]
        entries = (
            [entry.get("name", "") if isinstance(entry, dict) else entry for entry in value if True]
            if isinstance(value, list)
            else []
        )
        if len(entries) > MAX_LIST:
            raise PageError(self.line(name), f"{name} lists more than {MAX_LIST} entries")
        return [
            text
            for entry in entries
            if (text := text_of(self.safe(str(entry), name)) if isinstance(entry, (str, int, float)) else "")
        ]

    def section(self) -> str:
        """Return the section, from ``section``, ``category`` or the first of ``categories``."""
        listed = self.texts("section") or self.texts("category") or self.texts("categories")
        return shorten(listed[0], 200) if listed else ""

    def picture(self) -> str:
        """Return the path of the page's picture, from any of the names in use; empty where there is none."""
        images = self.values.get("images")
        first = images[0] if isinstance(images, list) and images and isinstance(images[0], str) else ""
        found = self.scalar("image", "featured_image", "cover", "thumbnail") or self.inside("image", "path", "src", "url")
        return (found or first or self.scalar("images")).strip()

    def inside(self, name: str, *keys: str) -> str:
        """Return the first of ``keys`` within the object ``name``."""
        value = self.values.get(name)
        found = (value.get(key) for key in keys) if isinstance(value, dict) else ()
        return self.safe(next((text for text in found if isinstance(text, str)), ""), name)

    def flag(self, name: str) -> bool:
        """Say whether ``name`` is set to something that means yes."""
        return str(self.values.get(name, "")).strip().lower() in ("true", "yes", "1", "on")

    def date(self, stem: str) -> datetime.datetime | None:
        """Return the date of the page, from the front matter or else from the name of its file; None where neither has one."""
        value = self.values.get("date")
        if value is None or value == "":
            return _date_of_name(stem)
        try:
            moment = _moment(value)
        except ValueError:
            moment = None
        if moment is None:
            raise PageError(
                self.line("date"),
                f"date {shorten(str(value), 60)!r} is no date; write it as 2015-05-11 or 2015-05-11T10:00:00Z",
            )
        return moment


def _moment(value: Any) -> datetime.datetime | None:
    """Return ``value`` as a moment in UTC; what has no zone is taken to be in UTC."""
    if isinstance(value, str):
        value = value.strip()
        value = parse_datetime(value) or parse_date(value[:10] if re.fullmatch(r"\S{10}\s.*", value) else value)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime) or not 1000 <= value.year < 9999:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def _date_of_name(stem: str) -> datetime.datetime | None:
    match = DATED_NAME.fullmatch(stem)
    if not match:
        return None
    try:
        return datetime.datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=datetime.UTC)
    except ValueError:
        return None

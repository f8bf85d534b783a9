"""Template tags in a text: Liquid and Nunjucks (``{% … %}``, ``{{ … }}``) and Hugo's shortcodes (``{{< … >}}``).

What stands for a text (a link, a variable) is replaced by it before Markdown is read. What stands for a thing (an image, a
video) or for nothing leaves a *marker*, a word that Markdown carries through unchanged: afterwards it becomes the thing, or,
within code, again what was written there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from content.importing.report import Drops

OPEN = re.compile(r"\{\{<|\{\{%|\{\{|\{%|\{#(?=\s)")
CLOSE = {"{{<": ">}}", "{{%": "%}}", "{{": "}}", "{%": "%}", "{#": "#}"}
MAX_TAG = 4000  # characters; what is longer is text
QUOTED = r"\"[^\"]*\"|'[^']*'"
ARGUMENT = re.compile(rf"(?<![\w-])([\w-]+)\s*[:=]\s*({QUOTED}|[^\s,]+)")
FLOW = "if elsif elif else endif unless endunless for endfor case when endcase assign set capture endcapture block endblock"

OTHER_PARTS = "it needs templates or data of the former site, which are not in this folder"


@dataclass(frozen=True, slots=True)
class Tag:
    """One template tag: ``opening`` its first characters, ``content`` what stands within, ``start`` and ``end`` its place."""

    opening: str
    content: str
    written: str
    start: int
    end: int


def next_tag(body: str, position: int) -> Tag | None:
    """Return the first tag at or behind ``position``; None where there is none. An opening that is not closed is text."""
    while match := OPEN.search(body, position):
        start = match.end()
        close = CLOSE[match[0]]
        end = body.find(close, start, start + MAX_TAG)
        if end >= 0:
            written = body[match.start() : end + len(close)]
            content = body[start:end].removeprefix("-").removesuffix("-").strip()
            return Tag(match[0], content, written, match.start(), end + len(close))
        position = start
    return None


@dataclass(frozen=True, slots=True)
class Marker:
    """What a marker stands for: the markup to show, and the text as written."""

    shown: str
    written: str
    line: int
    why: str = ""  # why nothing is shown, where that is to be reported
    what: str = ""  # by what name it is reported


@dataclass(slots=True)
class Expanded:
    """A body without template tags. ``lines[i]`` is the line in the file from which line ``i`` of ``text`` comes."""

    text: str
    lines: list[int]
    markers: list[Marker]
    pattern: re.Pattern[str]

    def show(self, markup: str, drops: Drops) -> str:
        """Return ``markup`` with each marker replaced by what it stands for."""

        def replace(match: re.Match[str]) -> str:
            marker = self.markers[int(match[1])]
            if marker.why:
                drops.add(marker.line, marker.what, marker.why)
            return marker.shown

        return self.pattern.sub(replace, markup)

    def restore(self, code: str) -> str:
        """Return ``code`` with each marker replaced by what was written there."""
        return self.pattern.sub(lambda match: self.markers[int(match[1])].written, code)


def expand(body: str, first_line: int, variables: dict[str, Any], drops: Drops) -> Expanded:
    """Expand the template tags of ``body``, which begins on ``first_line`` of its file."""
    return _Expander(body, first_line, variables, drops).run()


class _Expander:
    """Goes through a body once, from tag to tag."""

    def __init__(self, body: str, first_line: int, variables: dict[str, Any], drops: Drops) -> None:
        self.body = body
        self.line = first_line
        self.variables = variables
        self.drops = drops
        self.parts: list[str] = []
        self.lines = [first_line]
        self.markers: list[Marker] = []
        self.position = 0
        word = "Xmarker"
        while word in body:
            word += "X"
        self.word = word

    def run(self) -> Expanded:
        """Expand everything."""
        while tag := next_tag(self.body, self.position):
            self.copy(tag.start)
            self.expand(tag)
        self.copy(len(self.body))
        return Expanded("".join(self.parts), self.lines, self.markers, re.compile(self.word + r"(\d+)q"))

    def copy(self, end: int) -> None:
        """Take over the text up to ``end`` as it is."""
        text = self.body[self.position : end]
        self.parts.append(text)
        for _ in range(text.count("\n")):
            self.line += 1
            self.lines.append(self.line)
        self.position = end

    def skip(self, end: int) -> None:
        """Leave out the text up to ``end``."""
        self.line += self.body.count("\n", self.position, end)
        self.position = end

    def put(self, text: str) -> None:
        """Put a text in the place of a tag; all of its lines come from the line of the tag."""
        self.parts.append(text)
        self.lines.extend([self.line] * text.count("\n"))

    def mark(self, tag: Tag, shown: str, why: str = "", what: str = "") -> None:
        """Leave a marker in the place of a tag."""
        self.put(f"{self.word}{len(self.markers)}q")
        self.markers.append(Marker(shown, tag.written, self.line, why, what or tag.written))
        self.skip(tag.end)

    def expand(self, tag: Tag) -> None:
        """Expand one tag."""
        if tag.opening == "{{":
            self.value(tag)
        elif tag.opening == "{#":
            self.skip(tag.end)
        else:
            self.named(tag)

    def named(self, tag: Tag) -> None:
        """Expand a tag that begins with its name."""
        name, rest = re.match(r"([^\s\"']*)(.*)", tag.content, re.DOTALL).groups()  # type: ignore[union-attr]
        if name in ("raw", "verbatim"):
            self.enclosed(tag, name, self.copy)
        elif name == "comment":
            self.enclosed(tag, name, self.skip)
        elif name == "highlight":
            self.highlight(tag, rest)
        elif name in ("post_url", "link", "ref", "relref"):
            self.address(tag, name, rest.strip(" \"'"))
        elif shown := _thing(name, rest):
            self.mark(tag, shown)
        elif name.startswith(("end", "/")) or name in FLOW.split():
            self.mark(tag, "", f"the tag {name} steers a template; the text around it is kept")
        else:
            self.mark(tag, "", OTHER_PARTS)

    def enclosed(self, tag: Tag, name: str, take: Callable[[int], None]) -> None:
        """Apply ``take`` to what stands between this tag and its end."""
        end = re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}").search(self.body, tag.end)
        self.skip(tag.end)
        take(end.start() if end else len(self.body))
        self.skip(end.end() if end else len(self.body))

    def highlight(self, tag: Tag, rest: str) -> None:
        """Turn a highlighted passage into fenced code."""
        end = re.compile(r"\{%-?\s*endhighlight\s*-?%\}|\{\{[<%]\s*/\s*highlight\s*[%>]\}\}").search(self.body, tag.end)
        language = re.match(r"[\w+#-]*", rest.strip(" \"'"))
        self.put(f"\n~~~~~~{language[0] if language else ''}\n")
        self.skip(tag.end)
        self.copy(end.start() if end else len(self.body))
        self.put("\n~~~~~~\n")
        self.skip(end.end() if end else len(self.body))

    def address(self, tag: Tag, name: str, target: str) -> None:
        """Put the former address of another page."""
        dated = re.fullmatch(r"(?:.*/)?(\d{4})-(\d\d)-(\d\d)-(.+?)(?:\.\w+)?", target)
        self.put("/" + "/".join(dated.groups()) + "/" if dated else "/" + target.lstrip("/").removesuffix(".md"))
        self.skip(tag.end)

    def value(self, tag: Tag) -> None:
        """Put the value of an expression, or leave a marker where it stands for a thing or for nothing."""
        first, *filters = re.findall(rf"(?:{QUOTED}|[^|])+", tag.content) or [""]
        text = self.operand(first.strip())
        if text is None:
            self.mark(tag, "", f"{first.strip()} is not known here: {OTHER_PARTS}")
            return
        for name, _, argument in (filter_.strip().partition(":") for filter_ in filters):
            name, given = name.strip(), self.operand(argument.strip()) or ""
            if name == "embed":
                self.mark(tag, f'<iframe src="{html.escape(text)}" title="{html.escape(given)}"></iframe>')
                return
            if name.endswith(("_photo", "_image")):
                self.mark(tag, "", OTHER_PARTS, f"filter {name}")
                return
            text = given + text if name == "prepend" else text + given if name == "append" else text
            if name not in PLAIN_FILTERS:
                self.drops.add(
                    self.line, f"filter {name}", f"it is not known here; the text before it is kept. {OTHER_PARTS.capitalize()}"
                )
        self.put(text)
        self.skip(tag.end)

    def operand(self, text: str) -> str | None:
        """Return the text that ``text`` stands for: a quoted one, or a variable of the page. None where it is not known."""
        if re.fullmatch(QUOTED, text, re.DOTALL):
            return text[1:-1]
        if text in ("site.baseurl", "site.url", "site.BaseURL", ".Site.BaseURL"):
            return ""
        value = self.variables.get(text.removeprefix("page."))
        return str(value) if isinstance(value, (str, int, float)) else None


PLAIN_FILTERS = {
    "url", "relative_url", "absolute_url", "relURL", "absURL", "prepend", "append", "strip", "trim", "safe", "escape",
    "markdownify", "smartify", "xml_escape", "e",
}  # fmt: skip


def _thing(name: str, rest: str) -> str:
    """Return the markup of an image, a figure or a video tag; empty for any other tag."""
    if name in ("image", "image_with_class", "img"):
        return _image(rest)
    named = {key: value.strip("\"'") for key, value in ARGUMENT.findall(rest)}
    if name == "figure" or name.startswith("include") or name == "render":
        return _figure(named)
    identity = named.get("id") or rest.strip(" \"'").split(" ")[0]
    players = {"youtube": "https://www.youtube-nocookie.com/embed/", "vimeo": "https://player.vimeo.com/video/"}
    if name in players and re.fullmatch(r"[\w-]+", identity):
        return f'<iframe src="{players[name]}{identity}" title="{html.escape(named.get("title", ""))}"></iframe>'
    return ""


def _image(rest: str) -> str:
    """Return the markup of ``"path" "alt"``, ``"path" "class" "alt"`` or ``"path", "alt", "sizes"``; alt may hold quotes."""
    match = re.match(rf"\s*({QUOTED})(.*)", rest, re.DOTALL)
    if not match:
        named = {key: value.strip("\"'") for key, value in ARGUMENT.findall(rest)}
        return _img(named.get("src") or named.get("path", ""), named.get("alt", ""))
    path, rest = match[1][1:-1], match[2].strip()
    listed = rest.startswith(",")
    alt = re.split(r"[\"']\s*,\s*[\"']", rest.lstrip(", "))[0] if listed else re.split(r"[\"']\s+[\"']", rest)[-1]
    return _img(path, alt.strip().strip("\"'"))


def _figure(named: dict[str, str]) -> str:
    source = named.get("image") or named.get("src") or ""
    if not source:
        return ""
    caption = named.get("caption", "")
    image = _img(source, named.get("alt", ""))
    if link := named.get("url") or named.get("link"):
        image = f'<a href="{html.escape(link)}">{image}</a>'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>" if caption else image


def _img(source: str, alt: str) -> str:
    return f'<img src="{html.escape(source.strip())}" alt="{html.escape(" ".join(alt.split()))}">' if source.strip() else ""

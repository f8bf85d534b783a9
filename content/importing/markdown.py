"""Markdown to HTML, with the line of the file kept as comments in between."""

from __future__ import annotations

import html
import re

from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

from content.importing.liquid import Expanded
from content.importing.report import Drops, PageError

MAX_NESTING = 30  # levels of lists and quotes within each other
MAX_BRACKETS = 10_000  # on one page: each may begin a link, and is compared with those behind it
MAX_COLUMNS = 500  # of a table

# Every element that browsers know. A tag of another name, such as <branch-name>, is a placeholder, meant to be read.
ELEMENTS = {
    "a", "abbr", "address", "area", "article", "aside", "audio", "b", "base", "bdi", "bdo", "big", "blockquote", "body",
    "br", "button", "canvas", "caption", "center", "circle", "cite", "code", "col", "colgroup", "data", "datalist", "dd",
    "defs", "del", "details", "dfn", "dialog", "div", "dl", "dt", "em", "embed", "fieldset", "figcaption", "figure",
    "font", "footer", "form", "frame", "g", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "i",
    "iframe", "image", "img", "input", "ins", "kbd", "label", "legend", "li", "line", "link", "main", "map", "mark",
    "menu", "meta", "meter", "nav", "noscript", "object", "ol", "optgroup", "option", "output", "p", "param", "path",
    "picture", "pre", "progress", "q", "rect", "s", "samp", "script", "section", "select", "small", "source", "span",
    "strike", "strong", "style", "sub", "summary", "sup", "svg", "symbol", "table", "tbody", "td", "template", "textarea",
    "tfoot", "th", "thead", "time", "title", "tr", "track", "tt", "u", "ul", "use", "var", "video", "wbr",
}  # fmt: skip
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
NOTE = re.compile(r" {0,3}\[\^([^\]\s]+)\]:[ \t]?(.*)")
REFERENCE = re.compile(r"(`+)(?:.*?)\1|\[\^([^\]\s]+)\]", re.DOTALL)
ATTRIBUTE_LIST = re.compile(r"\s*\{:[^{}]*\}\s*")
IMAGE_IN_HTML = re.compile(r"!\[([^\]]{0,500})\]\(([^()\s<>\"]{1,500})\)")
CLOSE_HEADING = re.compile(r"(#{2,6})(?=[^\W\d_])")  # without the blank that CommonMark asks for
HEADING_ID = re.compile(r"\s*\{:?\s*#([\w-]+)[^{}]*\}\s*$")


def to_html(body: Expanded, drops: Drops) -> str:
    """Return the HTML of ``body``. Before each piece stands a comment ``line N``. Raises PageError beyond the bounds."""
    _check_bounds(body)
    text = _footnotes(_attribute_lists(body, drops))
    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": MAX_NESTING + 2}).enable(["table", "strikethrough"])
    tokens = _with_close_headings(reader, text)
    names: dict[str, int] = {}
    for position, token in enumerate(tokens):
        if token.level >= MAX_NESTING:
            raise PageError(_line(token, body), f"lists and quotes are nested deeper than {MAX_NESTING} levels")
        _restore_code(token, body)
        _placeholders(token)
        if token.type == "html_block":
            token.content = IMAGE_IN_HTML.sub(_image_in_html, token.content)
        if token.type == "heading_open":
            _name_heading(token, tokens[position + 1], names)
    return body.show(reader.renderer.render(_with_lines(tokens, body), reader.options, {}), drops)


def _with_close_headings(reader: MarkdownIt, text: str) -> list[Token]:
    """Read ``text``; ``###Heading`` is a heading, as it was to the former sites. Code and HTML hold none: only paragraphs do."""
    tokens, lines = reader.parse(text), text.split("\n")
    close = {
        number
        for token in tokens
        if token.type == "paragraph_open" and token.map
        for number in range(*token.map)
        if CLOSE_HEADING.match(lines[number])
    }
    if not close:
        return tokens
    return reader.parse("\n".join(CLOSE_HEADING.sub(r"\1 ", line, 1) if n in close else line for n, line in enumerate(lines)))


def _check_bounds(body: Expanded) -> None:
    if body.text.count("[") > MAX_BRACKETS:
        raise PageError(body.lines[0], f"there are more than {MAX_BRACKETS} square brackets; part the page into several")
    for number, line in enumerate(body.text.split("\n")):
        if line.count("|") > MAX_COLUMNS:
            raise PageError(body.lines[number], f"the line has more than {MAX_COLUMNS} columns of a table")


def _line(token: Token, body: Expanded) -> int:
    number = token.map[0] if token.map else 0
    return body.lines[min(number, len(body.lines) - 1)]


def _with_lines(tokens: list[Token], body: Expanded) -> list[Token]:
    """Return ``tokens`` with a comment that names the line before each one that begins something."""
    marked: list[Token] = []
    for token in tokens:
        if token.map and token.nesting >= 0 and token.type not in ("inline", "tr_open", "thead_open", "tbody_open"):
            marked.append(Token("html_block", "", 0, content=f"<!--line {_line(token, body)}-->"))
        marked.append(token)
    return marked


def _restore_code(token: Token, body: Expanded) -> None:
    for part in [token, *(token.children or [])]:
        if part.type in ("fence", "code_block", "code_inline"):
            part.content = body.restore(part.content)


def _placeholders(token: Token) -> None:
    for part in token.children or []:
        name = re.match(r"</?([^\s/>]+)", part.content) if part.type == "html_inline" else None
        if name and name[1].lower() not in ELEMENTS:
            part.type = "text"


def _image_in_html(match: re.Match[str]) -> str:
    """Markdown within HTML is not read; an image in it is meant all the same, and nobody wants to read its path."""
    return f'<img src="{html.escape(match[2])}" alt="{html.escape(html.unescape(match[1]))}">'


def _name_heading(heading: Token, inline: Token, names: dict[str, int]) -> None:
    """Give the heading an id made of its text, as the former sites do, so that links within a page lead somewhere."""
    last = inline.children[-1] if inline.children else None
    if last and last.type == "text" and (given := HEADING_ID.search(last.content)):
        last.content = last.content[: given.start()]
        heading.attrSet("id", given[1])
        return
    text = "".join(part.content for part in inline.children or [] if part.type in ("text", "code_inline", "softbreak"))
    name = slugify(text)
    if name:
        count = names[name] = names.get(name, -1) + 1
        heading.attrSet("id", f"{name}-{count}" if count else name)


def _outside_code(lines: list[str]) -> list[bool]:
    """Say of each line whether it stands outside of fenced code."""
    outside, fence = [], ""
    for line in lines:
        mark = FENCE.match(line)
        outside.append(not fence and not mark)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip(" `~"):
            fence = ""
    return outside


def _attribute_lists(body: Expanded, drops: Drops) -> str:
    """Empty the lines that hold nothing but a list of attributes for the piece before them (``{: .lead}``)."""
    lines = body.text.split("\n")
    for number, outside in enumerate(_outside_code(lines)):
        if outside and "{:" in lines[number] and ATTRIBUTE_LIST.fullmatch(lines[number]):
            drops.add(body.lines[number], lines[number].strip(), "the look of a page belongs to the design of the site")
            lines[number] = ""
    return "\n".join(lines)


def _footnotes(text: str) -> str:
    """Turn footnotes into numbers and a numbered list at the end. The lines of everything before keep their numbers."""
    if "[^" not in text:
        return text
    lines = text.split("\n")
    notes = _take_notes(lines)
    if not notes:
        return text
    numbers = {name: number for number, name in enumerate(notes, 1)}

    def refer(match: re.Match[str]) -> str:
        return f"<sup>{numbers[match[2]]}</sup>" if match[2] in numbers else match[0]

    outside = _outside_code(lines)
    lines = [REFERENCE.sub(refer, line) if plain else line for line, plain in zip(lines, outside, strict=True)]
    listed = [f"{number}. " + notes[name].replace("\n", "\n    ") for name, number in numbers.items()]
    return "\n".join([*lines, "", "---", "", *listed, ""])


def _take_notes(lines: list[str]) -> dict[str, str]:
    """Take the definitions of footnotes out of ``lines``, leaving them empty, and return them by name."""
    notes: dict[str, str] = {}
    current = ""
    for number, outside in enumerate(_outside_code(lines)):
        line = lines[number]
        if outside and (match := NOTE.match(line)):
            current = match[1]
            notes[current] = match[2]
        elif current and (re.match(r" {4}|\t", line) or (line.strip() and not notes[current].endswith("\n"))):
            notes[current] += "\n" + line.strip()
        elif current and not line.strip():
            notes[current] += "\n"
            continue
        else:
            current = ""
            continue
        lines[number] = ""
    return {name: note.strip() for name, note in notes.items()}

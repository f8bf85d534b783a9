"""HTML as a tree: first everything that cannot be carried over is noted with its line, then the rest is put in order."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import nh3

from content.blocks import ATTRIBUTES, TAGS
from content.importing.report import Drops, PageError

MAX_DEPTH = 100  # elements within each other
MAX_ELEMENTS = 50_000  # on one page

# Elements that become a block, or tell how, and so are more than their text.
STRUCTURE = {
    "img", "figure", "figcaption", "iframe", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "h1", "h5", "h6",
}  # fmt: skip
# Elements that only group others: what is in them stays.
GROUPS = {
    "div", "section", "article", "aside", "main", "header", "footer", "nav", "center", "address", "picture", "details",
    "summary", "form", "fieldset", "noscript",
}  # fmt: skip
SILENT = {"span", "tbody", "thead", "tfoot", "picture", "html", "body"}  # dropping these takes nothing away
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
UNCLOSED = {"p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "colgroup"}
GONE_WITH_CONTENT = {
    "script": "scripts do not run on pages",
    "style": "the look of a page belongs to the design of the site",
    "svg": "drawings within the text are not carried over; save the drawing as a file and show it as an image",
    "object": "plug-ins do not run on pages",
    "template": "templates do not run on pages",
    "head": "a page has no head of its own",
}
REASONS = {
    **GONE_WITH_CONTENT,
    "video": "moving pictures are shown by a link to where they are kept, not from here",
    "audio": "sound is not a block type; link to it instead",
    "input": "forms are not carried over",
    "button": "forms are not carried over",
    "select": "forms are not carried over",
    "textarea": "forms are not carried over",
    "form": "forms are not carried over; the text in it is kept",
}
LOOKS = {"style", "class", "align", "valign", "width", "height", "border", "bgcolor", "color", "cellpadding", "cellspacing"}
WANTED = {
    **ATTRIBUTES,
    "img": {"src", "alt", "title"},
    "iframe": {"src", "title"},
    "code": {"class"},
    "pre": {"class"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
KNOWN_LOSSES = {"width", "height", "colspan", "rowspan", "scope", "class"}

_order = nh3.Cleaner(
    tags=TAGS | STRUCTURE | GROUPS,
    attributes={"*": {"class", "id"}, **WANTED},
    clean_content_tags=set(GONE_WITH_CONTENT),
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel=None,
    strip_comments=False,
)


@dataclass(slots=True)
class Element:
    """One element and what is in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    line: int = 0  # in the file

    def walk(self) -> Iterator[Element]:
        """Yield this element and all within it, in the order of the text."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def find(self, *tags: str) -> list[Element]:
        """Return the elements within this one that are one of ``tags``, in the order of the text."""
        return [element for element in self.walk() if element.tag in tags and element is not self]


Node = Element | str


def parse(markup: str, drops: Drops) -> Element:
    """Return ``markup`` as a tree, well-formed, with unsafe things gone. Raises PageError where it is too large or too deep."""
    # A comment that does not end hides all that follows, and each beginning within it would be read to the end anew.
    if (unclosed := markup.find("<!--", markup.rfind("-->") + 1)) >= 0:
        drops.add(1, "<!--", "the comment does not end, and so hides the rest of the page")
        markup = markup[:unclosed]
    scan = _Scan(drops)
    scan.feed(markup)
    scan.close()
    builder = _Builder()
    builder.feed(_order.clean(markup))
    builder.close()
    return builder.root


def text_of(node: Node) -> str:
    """Return the text of ``node``, as it stands."""
    if isinstance(node, str):
        return node
    return "\n" if node.tag == "br" else "".join(text_of(child) for child in node.children)


def markup_of(nodes: list[Node]) -> str:
    """Return ``nodes`` as HTML."""
    return "".join(html.escape(node, quote=False) if isinstance(node, str) else _element_markup(node) for node in nodes)


def _element_markup(element: Element) -> str:
    attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in element.attributes.items())
    if element.tag in VOID:
        return f"<{element.tag}{attributes}>"
    inner = markup_of(element.children)
    # What the cleaning of blocks would take away must not join the words on both sides of it.
    return f" {inner} " if element.tag in GROUPS | STRUCTURE else f"<{element.tag}{attributes}>{inner}</{element.tag}>"


class _Reader(HTMLParser):
    """Reads markup and knows the line in the file, by the comments that name lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.mark = (1, 1)  # the line in the file of the last comment that named one, and its line in the markup

    @property
    def line(self) -> int:
        """The line in the file."""
        return self.mark[0] + self.getpos()[0] - self.mark[1]

    def handle_comment(self, data: str) -> None:
        if match := re.fullmatch(r"line (\d{1,9})", data):
            self.mark = (int(match[1]), self.getpos()[0])


class _Scan(_Reader):
    """Reads markup as it was written, notes what will be dropped, and refuses what is out of all bounds."""

    def __init__(self, drops: Drops) -> None:
        super().__init__()
        self.drops = drops
        self.depth = 0
        self.count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        self.depth += tag not in VOID | UNCLOSED
        if self.depth > MAX_DEPTH:
            raise PageError(self.line, f"elements are nested deeper than {MAX_DEPTH} levels, or tags are left open")
        if self.count > MAX_ELEMENTS:
            raise PageError(self.line, f"there are more than {MAX_ELEMENTS} elements")
        self.note(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag not in VOID | UNCLOSED))

    def note(self, tag: str, attributes: dict[str, str | None]) -> None:
        """Note what of this element is dropped."""
        if tag not in TAGS | STRUCTURE | SILENT:
            self.drops.add(
                self.line, f"<{tag}>", REASONS.get(tag, "this element is not used in blocks; the text in it is kept")
            )
        if tag in GONE_WITH_CONTENT:
            return
        for name in attributes:
            if name in LOOKS and not (name == "class" and tag in ("code", "pre")):
                self.drops.add(self.line, f"{name} of <{tag}>", "the look of a page belongs to the design of the site")
            elif name.startswith("on"):
                self.drops.add(self.line, f"{name} of <{tag}>", "scripts do not run on pages")
            elif (
                name not in WANTED.get(tag, ())
                and name not in ("id", "title", "role", "lang", "dir")
                and tag in TAGS | STRUCTURE
            ):
                self.drops.add(self.line, f"{name} of <{tag}>", "this attribute is not used in blocks")


class _Builder(_Reader):
    """Builds the tree of markup that is well-formed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, [], self.line)
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)
        if len(self.open) > MAX_DEPTH + 10:
            raise PageError(1, f"elements are nested deeper than {MAX_DEPTH} levels, or tags are left open")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.open[-1].tag and len(self.open) > 1:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

"""A tree of HTML to blocks: one of each kind of thing, in the order of the text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from content.blocks import clean_data
from content.importing import tree
from content.importing.report import Drops, shorten
from content.importing.tree import Element, Node, markup_of, text_of

FLOW = {"p", "h2", "h3", "h4", "ul", "ol", "dl", "hr"}
APART = {"img", "iframe", "table", "figure"}  # becomes a block of its own wherever it stands
GROUPS = tree.GROUPS | {"figcaption", "caption", "root"}
PIECES = FLOW | APART | GROUPS | {"pre", "blockquote", "h1", "h5", "h6"}
HEADINGS = {"h1": "h2", "h5": "h4", "h6": "h4"}
CALLOUT = re.compile(
    r"(?:^|[\s_-])(callout|alert|admonition|notice|note|tip|hint|info|warning|caution|danger|important)(?=$|[\s_-])"
)
TONES = {"tip": "tip", "hint": "tip", "warning": "warning", "caution": "warning", "danger": "warning", "important": "warning"}


@dataclass(slots=True)
class Draft:
    """A block to be. Of an image, ``source`` is the path as written, until the asset is known."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    line: int = 1  # of an image, in the file
    link: str = ""  # where an image leads


def split(root: Element, drops: Drops) -> list[Draft]:
    """Return the blocks of a page, their data clean; images have a ``source`` in place of an asset."""
    drafts = _Splitter(drops).flow(root.children)
    for draft in drafts:
        _keep_link(draft)
    return [Draft(draft.type, clean_data(draft.type, draft.data), draft.source, draft.line) for draft in drafts]


def _keep_link(draft: Draft) -> None:
    """Put where an image led into its caption, since the block has no other place for it."""
    if draft.link:
        name = shorten(re.sub(r"^(https?://|mailto:)", "", draft.link).rstrip("/"), 60)
        link = markup_of([Element("a", {"href": draft.link}, [name])])
        draft.data["caption"] = f"{draft.data['caption']} ({link})" if draft.data.get("caption") else link


class _Splitter:
    """Walks through one page. Each method returns the blocks of one node or of several."""

    def __init__(self, drops: Drops) -> None:
        self.drops = drops
        self.special: dict[str, Callable[[Element], list[Draft]]] = {
            "img": self.image,
            "iframe": self.embed,
            "table": self.table,
            "pre": self.code,
            "blockquote": self.quote,
            "figure": self.figure,
        }

    def flow(self, nodes: list[Node]) -> list[Draft]:
        """Return the blocks of ``nodes``; text that stands bare becomes a paragraph; neighbouring texts become one block."""
        drafts: list[Draft] = []
        bare: list[Node] = []
        for node in nodes:
            if isinstance(node, str) or not _has_piece(node):
                bare.append(node)
                continue
            drafts += self.paragraph(Element("p", {}, bare)) + self.piece(node)
            bare = []
        return joined(drafts + self.paragraph(Element("p", {}, bare)))

    def piece(self, element: Element) -> list[Draft]:
        """Return the blocks of one element."""
        if element.tag in self.special:
            return self.special[element.tag](element)
        if element.tag in ("ul", "ol", "dl"):
            return self.listing(element)
        if element.tag in FLOW or element.tag in HEADINGS:
            return self.paragraph(element)
        tone = _tone(element)
        if element.tag in GROUPS and tone and not element.find("blockquote", "pre", "table"):
            return self.callout(element, tone)
        if element.tag in GROUPS or any(
            child.tag in FLOW | GROUPS | {"pre", "blockquote"} for child in element.walk() if child is not element
        ):
            return self.flow(element.children)
        return self.paragraph(Element("p", {}, [element]))

    def paragraph(self, element: Element) -> list[Draft]:
        """Return a paragraph or heading as text, with what stands apart in it before or after."""
        before, after = self.lift(element)
        element.tag = HEADINGS.get(element.tag, element.tag)
        shown = element.tag == "hr" or text_of(element).strip()
        return [*before, *([Draft("richtext", {"html": markup_of([element]).strip()})] if shown else []), *after]

    def lift(self, element: Element) -> tuple[list[Draft], list[Draft]]:
        """Take what stands apart out of ``element``: what stood before its first text, and the rest."""
        before: list[Draft] = []
        after: list[Draft] = []
        seen_text = False

        def visit(parent: Element) -> None:
            nonlocal seen_text
            kept: list[Node] = []
            for child in parent.children:
                if isinstance(child, str):
                    seen_text = seen_text or bool(child.strip())
                elif child.tag in APART:
                    drafts = self.piece(child)
                    if parent.tag == "a":
                        self.linked(parent, drafts)
                    (after if seen_text else before).extend(drafts)
                    continue
                else:
                    visit(child)
                    if not child.children and child.tag in ("a", "p", "span", "em", "strong"):
                        continue
                kept.append(child)
            parent.children = kept if any(not isinstance(node, str) or node.strip() for node in kept) else []

        if element.find(*APART):
            visit(element)
        return before, after

    def linked(self, link: Element, drafts: list[Draft]) -> None:
        """Remember where the image in ``link`` leads; a link to nothing but a larger image is noted and dropped."""
        target = link.attributes.get("href", "")
        if re.search(r"\.(?:png|jpe?g|gif|svg|webp|avif)$", urlsplit(target).path, re.IGNORECASE):
            if all(draft.source.lstrip("/") != target.lstrip("/") for draft in drafts):
                self.drops.add(
                    link.line, f"link to {target}", "a link from an image to another image; the image that is shown is kept"
                )
        elif drafts and drafts[-1].type == "image":
            drafts[-1].link = target

    def listing(self, element: Element) -> list[Draft]:
        """Return a list; where an item holds what stands apart, the list is parted behind it and goes on."""
        drafts: list[Draft] = []
        items: list[Node] = []
        start = int(element.attributes.get("start", "1")[:9]) if element.attributes.get("start", "1").isdecimal() else 1
        counted = 0

        def close() -> None:
            nonlocal items, start, counted
            if any(text_of(item).strip() for item in items):
                attributes = {"start": str(start)} if element.tag == "ol" and start != 1 else {}
                drafts.append(Draft("richtext", {"html": markup_of([Element(element.tag, attributes, items)])}))
            items, start, counted = [], start + counted, 0

        for item in element.children:
            items.append(item)
            if isinstance(item, Element):
                counted += item.tag == "li"
                before, after = self.lift(item)
                if before or after:
                    close()
                    drafts += before + after
        close()
        return drafts

    def image(self, element: Element) -> list[Draft]:
        """Return an image."""
        source = element.attributes.get("src", "").strip()
        if not source:
            self.drops.add(element.line, "<img>", "the image names no file")
            return []
        return [
            Draft("image", {"alt": " ".join(element.attributes.get("alt", "").split()), "caption": ""}, source, element.line)
        ]

    def embed(self, element: Element) -> list[Draft]:
        """Return a frame as an embed. A frame that is not at a web address is dropped."""
        source = element.attributes.get("src", "").strip()
        url = re.sub(r"^(?:http:)?//", "https://", source)
        if not url.startswith("https://") or not urlsplit(url).hostname:
            self.drops.add(
                element.line, f"<iframe> of {source or 'nothing'}", "an embed needs an address that begins with https://"
            )
            return []
        return [Draft("embed", {"url": url, "title": element.attributes.get("title", "")})]

    def code(self, element: Element) -> list[Draft]:
        """Return code, with its language where a class names one."""
        inner = element.find("code")
        classes = " ".join(part.attributes.get("class", "") for part in [element, *inner])
        language = re.search(r"\b(?:language|lang|highlight)-([\w+#.-]+)", classes)
        code = text_of(element).strip("\n").rstrip()
        return [Draft("code", {"code": code, "language": language[1] if language else ""})] if code else []

    def quote(self, element: Element) -> list[Draft]:
        """Return a quotation; what stands apart in it follows. ``> [!NOTE]`` makes a callout."""
        attribution = ""
        for footer in [child for child in element.children if isinstance(child, Element) and child.tag == "footer"]:
            attribution = " ".join(text_of(footer).split()).lstrip("—–- ")
            element.children.remove(footer)
        before, after = self.lift(element)
        inner = _unwrapped(element.children)
        html = markup_of(inner).strip()
        if alert := re.match(r"<p>\[!(\w+)\]\s*(?:<br>)?\s*", html):
            data = {"html": "<p>" + html[alert.end() :], "tone": TONES.get(alert[1].lower(), "note")}
            return [*before, Draft("callout", data), *after]
        quoted = [Draft("quote", {"html": html, "attribution": attribution})] if text_of(element).strip() else []
        return [*before, *quoted, *after]

    def callout(self, element: Element, tone: str) -> list[Draft]:
        """Return a box that stands out."""
        before, after = self.lift(element)
        shown = [Draft("callout", {"html": markup_of(_unwrapped(element.children)).strip(), "tone": tone})]
        return [*before, *(shown if text_of(element).strip() else []), *after]

    def table(self, element: Element) -> list[Draft]:
        """Return a table of texts, and behind it what stood apart in its cells."""
        caption = next((" ".join(text_of(part).split()) for part in element.find("caption")), "")
        after: list[Draft] = []
        rows: list[list[str]] = []
        heads: list[bool] = []
        for row in element.find("tr"):
            cells = [cell for cell in row.children if isinstance(cell, Element) and cell.tag in ("td", "th")]
            for cell in cells:
                self.note_cell(cell)
                after += [draft for part in self.lift(cell) for draft in part]
            rows.append([" ".join(_spaced(cell).split()) for cell in cells])
            heads.append(bool(cells) and all(cell.tag == "th" for cell in cells))
        if not any(cell for row in rows for cell in row):
            return after
        width = max(len(row) for row in rows)
        rows = [row + [""] * (width - len(row)) for row in rows if row]
        return [Draft("table", {"rows": rows, "header": heads[0], "caption": caption}), *after]

    def note_cell(self, cell: Element) -> None:
        """Note what the text of a cell does not carry."""
        for link in cell.find("a"):
            if target := link.attributes.get("href"):
                self.drops.add(
                    link.line, f"link to {target}", "the cells of a table hold plain text; the words of the link are kept"
                )
        if cell.attributes.get("colspan", "1") != "1" or cell.attributes.get("rowspan", "1") != "1":
            self.drops.add(cell.line, "colspan or rowspan of a cell", "each cell of a table stands for itself")

    def figure(self, element: Element) -> list[Draft]:
        """Return what the figure holds, its caption with the last of it."""
        captions = element.find("figcaption")
        caption: list[Draft] = []
        for part in captions:
            before, after = self.lift(part)
            caption += before + after
        _remove(element, captions)
        drafts = self.flow(element.children) + caption
        text = " ".join(markup_of(_unwrapped(part.children)).strip() for part in captions).strip()
        if text:
            _caption(drafts, text, " ".join(" ".join(text_of(part) for part in captions).split()))
        return drafts


def _caption(drafts: list[Draft], markup: str, text: str) -> None:
    """Give a caption to the last block of a figure that can have one, or else put it behind as text."""
    keys = {"image": ("caption", markup), "table": ("caption", text), "embed": ("title", text), "quote": ("attribution", text)}
    for draft in reversed(drafts):
        key, value = keys.get(draft.type, ("", ""))
        if key and not draft.data.get(key):
            draft.data[key] = value
            return
    drafts.append(Draft("richtext", {"html": f"<p>{markup}</p>"}))


def _has_piece(element: Element) -> bool:
    return any(part.tag in PIECES for part in element.walk())


def joined(drafts: list[Draft]) -> list[Draft]:
    """Join neighbouring texts into one block."""
    result: list[Draft] = []
    for draft in drafts:
        if result and draft.type == result[-1].type == "richtext":
            result[-1].data["html"] += "\n" + draft.data["html"]
        else:
            result.append(draft)
    return result


def _tone(element: Element) -> str:
    match = CALLOUT.search(element.attributes.get("class", "").lower())
    words = [match[1]] if match else []
    words += CALLOUT.findall(element.attributes.get("class", "").lower())
    return next((TONES[word] for word in words if word in TONES), "note") if match else ""


def _unwrapped(nodes: list[Node]) -> list[Node]:
    """Return ``nodes`` without the groups among them; what a group holds takes its place, bare text as a paragraph."""
    flat: list[Node] = []
    for node in nodes:
        if not isinstance(node, Element) or node.tag not in GROUPS:
            flat.append(node)
            continue
        inner = _unwrapped(node.children)
        bare = all(isinstance(part, str) or part.tag not in PIECES for part in inner)
        flat += [Element("p", {}, inner)] if bare and text_of(node).strip() else inner
    return [_demoted(node) for node in flat]


def _demoted(node: Node) -> Node:
    if isinstance(node, Element):
        node.tag = HEADINGS.get(node.tag, node.tag)
    return node


def _remove(element: Element, parts: list[Element]) -> None:
    for parent in list(element.walk()):
        parent.children = [child for child in parent.children if not any(child is part for part in parts)]


def _spaced(node: Node) -> str:
    """Return the text of a cell, with a space wherever a new piece begins."""
    if isinstance(node, str):
        return node
    inner = "".join(_spaced(child) for child in node.children)
    return f" {inner} " if node.tag in PIECES | {"br", "li", "tr", "td", "th"} else inner

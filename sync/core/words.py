"""Two forms of text, each cut into paragraphs and a paragraph into words: plain text, and the small HTML of rich text.

Of plain text a paragraph is a line. Of HTML it is an element at the top; the tags inside that make structure (``li``) are words
of their own, those that mark words (``strong``, ``a``) are no words but a set on each word. So what is put together from the
words of several authors is never mis-nested by their marks.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

MARKS = frozenset(
    "a abbr b cite code del em i ins kbd mark q s small span strong sub sup u".split()  # noqa: SIM905
)
VOID = frozenset({"br", "hr"})
MAX_MARKS = 16  # on one word
MAX_DEPTH = 64  # of elements inside of each other

# White space and letters are named one by one: what ``\s`` and ``\w`` mean grows with the Unicode of each Python.
SPACE = r"[ \t\n\r\f\v\u00a0]"
IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
RUN = re.compile(rf"({SPACE}*)((?:(?!{SPACE}|{IDEOGRAPH}).)+|{IDEOGRAPH}|\Z)", re.DOTALL)
TAIL = ".,:!?)]"  # what ends a sentence or a part of one is a word of its own
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\"[^\"]*\"|'[^']*'|[^'\"<>])*+)>")


class MisnestedError(ValueError):
    """Markup whose tags do not enclose each other as they should."""


class Word(NamedTuple):
    """A word, the opening tags that mark it, and the white space before it (None: none, at the beginning).

    A tag that makes structure is a word too: ``is_tag``.
    """

    text: str
    marks: frozenset[str] = frozenset()
    space: str | None = None
    is_tag: bool = False


class Form(Protocol):
    """How a text is cut up and put together. All may raise MisnestedError."""

    def split(self, text: str) -> list[str]:
        """Return the paragraphs of ``text``."""

    def join(self, paragraphs: Iterable[str], like: str) -> str:
        """Return the text of ``paragraphs``, laid out as the text ``like`` is."""

    def words(self, paragraph: str) -> list[Word]:
        """Return the words of a paragraph."""

    def render(self, words: Iterable[Word]) -> str:
        """Return the paragraph of ``words``."""

    def readable(self, word: Word) -> str:
        """Return ``word`` as a person reads it, with the white space before it."""


def cut(text: str) -> Iterator[tuple[str, str]]:
    """Yield the words of ``text``, each with the white space before it; the last is empty where white space ends the text."""
    for found in RUN.finditer(text):
        space, run = found.groups()
        body = run.rstrip(TAIL)
        if body and body != run:
            yield space, body
            yield "", run[len(body) :]
        elif run or space:
            yield space, run


class Plain:
    """Plain text, line by line."""

    def split(self, text: str) -> list[str]:
        """Return the lines."""
        return text.split("\n")

    def join(self, paragraphs: Iterable[str], like: str) -> str:
        """Return the lines as one text."""
        return "\n".join(paragraphs)

    def words(self, paragraph: str) -> list[Word]:
        """Return the words of a line."""
        found = [Word(text, space=space) for space, text in cut(paragraph)]
        return [found[0]._replace(space=found[0].space or None), *found[1:]] if found else []

    def render(self, words: Iterable[Word]) -> str:
        """Return the line of ``words``."""
        text = ""
        for word in words:
            space = word.space if word.space is not None else " " if text else ""
            text += space + word.text
        return text

    def readable(self, word: Word) -> str:
        """Return the word and the white space before it."""
        return (word.space or "") + word.text


class Piece(NamedTuple):
    """A tag, or a text between tags. ``name`` is that of the tag in lower case; empty for a text."""

    raw: str
    name: str = ""
    closes: bool = False


def pieces(markup: str) -> Iterator[Piece]:
    """Yield tags and texts, in order, nothing left out."""
    place = 0
    for tag in TAG.finditer(markup):
        if tag.start() > place:
            yield Piece(markup[place : tag.start()])
        yield Piece(tag[0], tag[2].lower(), bool(tag[1]))
        place = tag.end()
    if place < len(markup):
        yield Piece(markup[place:])


class Markup:
    """HTML, element by element of its top."""

    def split(self, text: str) -> list[str]:
        """Return the elements of the top; text outside of them, up to the next one, is a paragraph by itself."""
        found, opened = [list[str]()], list[str]()
        for piece in pieces(text):
            is_block = bool(piece.name) and piece.name not in MARKS and piece.name != "br"
            if is_block and not opened:
                found.append([])
            found[-1].append(piece.raw)
            _nest(opened, piece)
            if is_block and not opened:
                found.append([])
        if opened:
            raise MisnestedError(f"{opened[-1]} is not closed")
        paragraphs = ("".join(raw).strip() for raw in found)
        return [paragraph for paragraph in paragraphs if paragraph]

    def join(self, paragraphs: Iterable[str], like: str) -> str:
        """Return the elements as one text, a line for each where ``like`` has more than one line."""
        return ("\n" if re.search(r">\s*\n\s*<", like) else "").join(paragraphs)

    def words(self, paragraph: str) -> list[Word]:
        """Return words and the tags that make structure."""
        found, marks, space = list[Word](), list[Piece](), ""
        inside = around = frozenset[str]()  # the marks of the next word, and of the white space before it
        for piece in pieces(paragraph):
            if not piece.name:
                for before, text in cut(piece.raw):
                    space, around = space + before, inside if before else around
                    if text:
                        is_first = not found or found[-1].is_tag
                        found.append(Word(text, inside, space or (None if is_first else "")))
                        space = ""
            elif piece.name in MARKS:
                _mark(marks, piece)
                inside = frozenset(mark.raw for mark in marks)
            elif marks and piece.name != "br":
                raise MisnestedError(f"{piece.name} stands inside of {marks[-1].name}")
            else:
                if space and around:
                    found.append(Word("", around, space))
                    space = ""
                found.append(Word(piece.raw, frozenset(), space or None, is_tag=True))
                space = ""
        if marks:
            raise MisnestedError(f"{marks[-1].name} is not closed")
        return [*found, Word("", around, space)] if space else found

    def render(self, words: Iterable[Word]) -> str:
        """Return the paragraph of ``words``. Raises MisnestedError where the tags among them do not nest."""
        text, marks, opened = "", list[str](), list[str]()
        before: Word | None = None
        for word in words:
            wanted = sorted(word.marks, key=lambda mark: (not mark.startswith("<a "), mark))
            keep = 0
            while keep < min(len(marks), len(wanted)) and marks[keep] == wanted[keep]:
                keep += 1
            text += _closing(marks[keep:]) + _space(before, word) + "".join(wanted[keep:]) + word.text
            marks, before = wanted, word
            if word.is_tag:
                _nest(opened, next(pieces(word.text)))
        if opened:
            raise MisnestedError(f"{opened[-1]} is not closed")
        return text + _closing(marks)

    def readable(self, word: Word) -> str:
        """Return the text of the word; of the tags, a new line for what begins one."""
        if word.is_tag:
            tag = next(pieces(word.text))
            return "\n" if tag.name in ("br", "li", "dt", "dd") and not tag.closes else ""
        return (word.space or "") + html.unescape(word.text)


def _space(before: Word | None, word: Word) -> str:
    if word.space is not None:
        return word.space
    return "" if before is None or before.is_tag or word.is_tag else " "


def _closing(marks: list[str]) -> str:
    return "".join(f"</{name_of(mark)}>" for mark in reversed(marks))


def name_of(mark: str) -> str:
    """Return the name of an opening tag."""
    found = TAG.match(mark)
    return found[2].lower() if found else mark


def _mark(opened: list[Piece], piece: Piece) -> None:
    if not piece.closes:
        opened.append(piece)
        if len(opened) > MAX_MARKS:
            raise MisnestedError(f"more than {MAX_MARKS} marks stand on one word")
    elif opened and opened[-1].name == piece.name:
        opened.pop()
    else:
        raise MisnestedError(f"{piece.name} is closed and was not open")


def _nest(opened: list[str], piece: Piece) -> None:
    """Follow the tags that make structure."""
    if not piece.name or piece.name in MARKS or piece.name in VOID:
        return
    if not piece.closes:
        opened.append(piece.name)
        if len(opened) > MAX_DEPTH:
            raise MisnestedError(f"elements stand more than {MAX_DEPTH} deep")
    elif opened and opened[-1] == piece.name:
        opened.pop()
    else:
        raise MisnestedError(f"{piece.name} is closed and was not open")


PLAIN, MARKUP = Plain(), Markup()

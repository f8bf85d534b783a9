"""Merging texts that several authors made of one, all at once, and telling people in what two texts differ.

Each text is a map from slots of the base to what stands there now. A slot is a paragraph, or the gap before one; a replacement
by another number of paragraphs owns its range and the gaps inside. The maps are united. Where one slot has two contents, and
each is another version of one paragraph, the same is done with its words; else there is no merge. The order in which the texts
are given makes no difference. Three-way merging after Khanna, Kunal and Pierce, "A Formal Investigation of Diff3", 2007; with
one map for each text instead of folding, so that it is symmetric for any number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from sync.core.lcs import Budget, Hunk, TooCostlyError, hunks, pairs
from sync.core.words import MARKUP, PLAIN, Form, MisnestedError, Word, name_of

MAX_CHARACTERS = 400_000  # of all texts together: beyond, there is no merge
MAX_STEPS = 150_000  # of all comparisons of one merge together, about 50 ms
MAX_PAIRED = 400  # pairs of paragraphs in one hunk that are compared word by word to find which became which

Item = TypeVar("Item", bound=Hashable)
Slot = tuple[int, bool]  # place in the base; False: the gap before it, True: what stands there


class ClashError(Exception):
    """One slot has two contents."""


@dataclass(frozen=True)
class Part(Generic[Item]):
    """What stands for ``base[start:end]`` now."""

    start: int
    end: int
    items: tuple[Item, ...]


def form_of(is_markup: bool) -> Form:
    """Return how texts of this kind are cut into paragraphs and words."""
    return MARKUP if is_markup else PLAIN


def merge(texts: Collection[str], base: str, is_markup: bool = False, budget: Budget | None = None) -> str | None:
    """Return what all of ``texts``, each made of ``base``, say together; None where they contradict each other.

    None as well where it would take more than the bounds of this module.
    """
    made = sorted(set(texts) - {base})
    if len(made) < 2:
        return made[0] if made else base
    if sum(map(len, made)) + len(base) > MAX_CHARACTERS:
        return None
    try:
        return _merge(form_of(is_markup), base, made, budget or Budget(MAX_STEPS))
    except (ClashError, TooCostlyError, MisnestedError):
        return None


def _merge(form: Form, base: str, made: Sequence[str], budget: Budget) -> str:
    old = form.split(base)
    maps = [_paragraph_map(form, old, form.split(text), budget) for text in made]
    united: dict[Slot, Part[str]] = {}
    for slot in sorted(set().union(*maps)):
        parts = {found[slot] for found in maps if slot in found}
        if len(parts) > 1:
            parts = {_merge_paragraph(form, old, parts, budget)}
        [united[slot]] = parts
    return form.join(_laid_out(old, united), base)


def _merge_paragraph(form: Form, old: Sequence[str], parts: Collection[Part[str]], budget: Budget) -> Part[str]:
    start = min(part.start for part in parts)
    if any((part.start, part.end, len(part.items)) != (start, start + 1, 1) for part in parts):
        raise ClashError
    base = form.words(old[start])
    words = [form.words(part.items[0]) for part in sorted(parts, key=lambda part: part.items)]
    if any(_is_rewritten(base, each) for each in words):
        raise ClashError
    return Part(start, start + 1, (form.render(merge_words(base, words, budget)),))


def _is_rewritten(base: Sequence[Word], words: Sequence[Word]) -> bool:
    """Whether one paragraph stands in the place of another, with less than half of the words: it is none to merge into."""
    old, new = (Counter(word.text for word in each if word.text and not word.is_tag) for each in (base, words))
    return 2 * (old & new).total() < min(old.total(), new.total())


def merge_words(base: Sequence[Word], made: Sequence[Sequence[Word]], budget: Budget) -> list[Word]:
    """Return the words of one paragraph that all of ``made`` say together. Raises ClashError, TooCostlyError."""
    keys = [word.text for word in base]
    maps, kept = list[Mapping[Slot, Part[Word]]](), list[Mapping[int, Word]]()
    for words in made:
        texts = [word.text for word in words]
        maps.append(slots(words, hunks(keys, texts, budget)))
        kept.append({x: words[y] for x, y in pairs(keys, texts, budget)})
    united: dict[Slot, Part[Word]] = {}
    for slot in sorted(set().union(*maps)):
        found = {each[slot] for each in maps if slot in each}
        if len(found) > 1:
            raise ClashError
        united[slot] = _marked(found.pop(), base, kept)
    styled = [_styled(word, [words[place] for words in kept if place in words]) for place, word in enumerate(base)]
    return _laid_out(styled, united)


def _marked(part: Part[Word], base: Sequence[Word], kept: Iterable[Mapping[int, Word]]) -> Part[Word]:
    """Return ``part`` with the marks that others gave to, or took from, the words that it replaces."""
    spans = [
        _marks_changed(base[place], [words[place] for words in kept if place in words]) for place in range(part.start, part.end)
    ]
    if not part.items or not any(added or removed for added, removed in spans):
        return part
    if len(set(spans)) > 1:
        raise ClashError
    added, removed = spans[0]
    items = (w if w.is_tag else w._replace(marks=_one_of_each((w.marks | added) - removed)) for w in part.items)
    return Part(part.start, part.end, tuple(items))


def _marks_changed(word: Word, versions: Iterable[Word]) -> tuple[frozenset[str], frozenset[str]]:
    sets = [version.marks for version in versions]
    return frozenset().union(*(marks - word.marks for marks in sets)), frozenset().union(*(word.marks - m for m in sets))


def _styled(word: Word, versions: Sequence[Word]) -> Word:
    """Return ``word``, which all ``versions`` kept, with the marks and the white space that they gave it."""
    added, removed = _marks_changed(word, versions)
    spaces = {version.space for version in versions} - {word.space}
    if len(spaces) > 1:
        spaces.discard(None)
    if len(spaces) > 1:
        raise ClashError
    space = spaces.pop() if spaces else word.space
    return word._replace(marks=_one_of_each((word.marks | added) - removed), space=space)


def _one_of_each(marks: frozenset[str]) -> frozenset[str]:
    """Return ``marks``. Raises ClashError for two of one name, as for a word that leads to two addresses."""
    if len({name_of(mark) for mark in marks}) < len(marks):
        raise ClashError
    return marks


# -- slots ------------------------------------------------------------------------------------------------------------------------


def slots(other: Sequence[Item], found: Iterable[Hunk]) -> dict[Slot, Part[Item]]:
    """Return the map from slots of the base to what stands there in ``other``; what is unchanged is left out."""
    filled: dict[Slot, Part[Item]] = {}
    for start, end, begin, stop in found:
        items = tuple(other[begin:stop])
        if start == end:
            filled[start, False] = Part(start, start, items)
        elif len(items) == end - start:
            filled.update(((start + i, True), Part(start + i, start + i + 1, (item,))) for i, item in enumerate(items))
        else:
            filled.update(_owned(start, end, items))
    return filled


def _owned(start: int, end: int, items: tuple[Item, ...]) -> Iterator[tuple[Slot, Part[Item]]]:
    """Yield the slots of a range that has become another number of items, and the gaps inside."""
    for place in range(start, end):
        if place > start:
            yield (place, False), Part(start, end, items) if items else Part(place, place, items)
        yield (place, True), Part(start, end, items) if items else Part(place, place + 1, items)


def _laid_out(base: Sequence[Item], united: Mapping[Slot, Part[Item]]) -> list[Item]:
    result: list[Item] = []
    for place in range(len(base) + 1):
        gap, here = united.get((place, False)), united.get((place, True))
        if gap is not None and gap.start == gap.end:
            result += gap.items
        if here is None:
            result += base[place : place + 1]
        elif here.start == place:
            result += here.items
    return result


def _paragraph_map(form: Form, old: Sequence[str], new: Sequence[str], budget: Budget) -> dict[Slot, Part[str]]:
    """Return the map of one text; within a hunk, a paragraph and what became of it are found by the words they share."""
    found: list[Hunk] = []
    for hunk in hunks(old, new, budget):
        start, begin = hunk.start, hunk.begin
        for x, y in [*_became(old, new, hunk, budget), (hunk.end, hunk.stop)]:
            if x > start or y > begin:
                found.append(Hunk(start, x, begin, y))
            if x < hunk.end:
                found.append(Hunk(x, x + 1, y, y + 1))
            start, begin = x + 1, y + 1
    return slots(new, found)


def _became(old: Sequence[str], new: Sequence[str], hunk: Hunk, budget: Budget) -> list[tuple[int, int]]:
    """Return which paragraphs of an uneven hunk became which: the ascending pairs that share most words, half of them at least."""
    rows, columns = range(hunk.start, hunk.end), range(hunk.begin, hunk.stop)
    if len(rows) == len(columns) or not rows or not columns or len(rows) * len(columns) > MAX_PAIRED:
        return []
    bags = {text: Counter(text.split(" ")) for text in {*(old[x] for x in rows), *(new[y] for y in columns)}}
    best: dict[tuple[int, int], tuple[int, tuple[tuple[int, int], ...]]] = {}
    for x in reversed(rows):
        for y in reversed(columns):
            budget.spend(1 + min(len(bags[old[x]]), len(bags[new[y]])))
            score, path = max(best.get((x + 1, y), (0, ())), best.get((x, y + 1), (0, ())), key=lambda entry: entry[0])
            shared = _shared(bags[old[x]], bags[new[y]])
            below, rest = best.get((x + 1, y + 1), (0, ()))
            if shared and shared + below > score:
                score, path = shared + below, ((x, y), *rest)
            best[x, y] = score, path
    return list(best[hunk.start, hunk.begin][1])


def _shared(one: Counter[str], other: Counter[str]) -> int:
    """Return how many words two paragraphs share, 0 where that is less than half of both."""
    shared = (one & other).total()
    return shared if 4 * shared >= one.total() + other.total() else 0


# -- differences, for people ------------------------------------------------------------------------------------------------------


class Segment(NamedTuple):
    """A stretch of words. ``kind``: ``same``, ``removed``, ``added``, or ``marked``: the same words marked otherwise (bold, a link)."""

    kind: str
    text: str


def differences(old: str, new: str, is_markup: bool = False) -> list[list[Segment]]:
    """Return, paragraph by paragraph, what became of ``old`` in ``new``, in readable text without tags.

    A paragraph that is the same on both sides is one segment ``same``. Texts beyond the bounds of a merge are one paragraph
    removed and one added.
    """
    form = form_of(is_markup)
    try:
        if len(old) + len(new) > MAX_CHARACTERS:
            raise TooCostlyError
        return list(_differences(form, form.split(old), form.split(new), Budget(MAX_STEPS)))
    except (TooCostlyError, MisnestedError):
        return [[Segment("removed", old)], [Segment("added", new)]]


def _differences(form: Form, old: Sequence[str], new: Sequence[str], budget: Budget) -> Iterator[list[Segment]]:
    found = _paragraph_map(form, old, new, budget)
    for place in range(len(old) + 1):
        gap, here = found.get((place, False)), found.get((place, True))
        if gap is not None and gap.start == gap.end:
            yield from ([Segment("added", _readable(form, text))] for text in gap.items)
        if here is None:
            yield from ([Segment("same", _readable(form, text))] for text in old[place : place + 1])
        elif (here.end - here.start, len(here.items)) == (1, 1):
            yield _word_differences(form, form.words(old[place]), form.words(here.items[0]), budget)
        else:
            yield [Segment("removed", _readable(form, old[place]))]
            if place == here.end - 1:
                yield from ([Segment("added", _readable(form, text))] for text in here.items)


def _readable(form: Form, paragraph: str) -> str:
    return "".join(map(form.readable, form.words(paragraph))).strip("\n")


def _word_differences(form: Form, old: Sequence[Word], new: Sequence[Word], budget: Budget) -> list[Segment]:
    segments: list[Segment] = []

    def add(kind: str, words: Sequence[Word]) -> None:
        text = "".join(map(form.readable, words))
        if segments and words and words[0].space is None and not words[0].is_tag:
            text = f" {text}"
        if segments and segments[-1].kind == kind:
            text = segments.pop().text + text
        if text:
            segments.append(Segment(kind, text))

    x = y = 0
    for at, there in [*pairs([w.text for w in old], [w.text for w in new], budget), (len(old), len(new))]:
        add("removed", old[x:at])
        add("added", new[y:there])
        if at < len(old):
            add("same" if old[at].marks == new[there].marks else "marked", new[there : there + 1])
        x, y = at + 1, there + 1
    return segments

"""Merging texts: whatever two, three or four authors did to one text, all of it is there, or somebody is asked."""

import time
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.blocks import clean_html
from sync.core.text import Segment, differences, merge
from sync.core.words import MARKUP, PLAIN

# --- the laws --------------------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "and", "saw"])
MARKS = ("strong", "em", "u")


def html_of(paragraphs):
    """Return paragraphs of (word, marks) as HTML."""

    def word(text, marks):
        for mark in sorted(marks):
            text = f"<{mark}>{text}</{mark}>"
        return text

    return "".join(f"<p>{' '.join(word(*each) for each in paragraph)}</p>" for paragraph in paragraphs)


def plain_of(paragraphs):
    """Return paragraphs as plain text, a line each."""
    return "\n".join(" ".join(text for text, _ in paragraph) for paragraph in paragraphs)


@st.composite
def texts(draw, authors=3):
    """Return a base, and for each author what he made of it and the words and whole paragraphs that are his own."""
    paragraph = st.lists(st.tuples(WORDS, st.just(frozenset())), min_size=1, max_size=6)
    base = draw(st.lists(paragraph, min_size=1, max_size=4))
    made = []
    for author in range(draw(st.integers(2, authors))):
        text, own, whole = [list(paragraph) for paragraph in base], set(), []
        for number in range(draw(st.integers(0, 3))):
            fresh = f"own{author}{number}"
            _edit(draw, text, fresh, own, whole)
        made.append((text, own, whole))
    return base, made


def _edit(draw, text, fresh, own, whole):
    kind = draw(st.sampled_from(["word", "insert", "paragraph", "mark", "remove", "drop"]))
    if kind == "paragraph":
        text.insert(draw(st.integers(0, len(text))), [(fresh, frozenset()), ("new", frozenset())])
        own.add(fresh)
        whole.append(fresh)
        return
    places = [(i, j) for i, line in enumerate(text) for j, (word, _) in enumerate(line) if word[:3] != "own" and word != "new"]
    if not places:
        return
    row, column = draw(st.sampled_from(places))
    line = text[row]
    if kind == "word":
        line[column] = (fresh, line[column][1])
        own.add(fresh)
    elif kind == "insert":
        line.insert(column, (fresh, frozenset()))
        own.add(fresh)
    elif kind == "mark":
        line[column] = (line[column][0], line[column][1] ^ {draw(st.sampled_from(MARKS))})
    elif kind == "remove" and len(line) > 1:
        del line[column]
    elif kind == "drop" and len(text) > 1 and not any(word[:3] == "own" for word, _ in line):
        del text[row]


def words_of(text):
    """Return the words of a text without tags."""
    for tag in ("p", *MARKS):
        text = text.replace(f"<{tag}>", " ").replace(f"</{tag}>", " ")
    return text.split()


FORMS = pytest.mark.parametrize(("write", "is_markup"), [(plain_of, False), (html_of, True)])


@FORMS
@given(st.data())
def test_the_order_of_the_texts_makes_no_difference(write, is_markup, data):
    """Every replica merges alike, in whatever order it holds the siblings, and however often."""
    base, made = data.draw(texts())
    siblings, old = [write(text) for text, _, _ in made], write(base)
    results = {merge([*order, order[0]], old, is_markup) for order in permutations(siblings)}
    assert len(results) == 1


@FORMS
@given(st.data())
def test_one_text_and_its_base_are_that_text(write, is_markup, data):
    """Merging is idempotent: who changed nothing contradicts nobody."""
    base, made = data.draw(texts())
    text, old = write(made[0][0]), write(base)
    assert merge([text, text, old], old, is_markup) == text


@FORMS
@given(st.data())
def test_no_own_word_or_paragraph_of_anybody_is_missing(write, is_markup, data):
    """What each author added is in the merge, once, and the paragraphs that are all his own as he wrote them."""
    base, made = data.draw(texts())
    result = merge([write(text) for text, _, _ in made], write(base), is_markup)
    if result is None:
        return
    found = words_of(result)
    for text, own, whole in made:
        assert all(found.count(word) == 1 for word in own)
        paragraphs = (MARKUP if is_markup else PLAIN).split(result)
        for word in whole:
            [mine] = [line for line in text if any(each == word for each, _ in line)]
            if all(each[:3] == "own" or each == "new" for each, _ in mine):
                assert write([mine]) in paragraphs


@FORMS
@given(st.data())
def test_what_nobody_took_away_is_still_there(write, is_markup, data):
    """A word of the base is missing only where somebody removed or replaced one."""
    base, made = data.draw(texts())
    result = merge([write(text) for text, _, _ in made], write(base), is_markup)
    if result is None:
        return
    old, found = words_of(write(base)), words_of(result)
    for word in set(old):
        lost = sum(max(0, old.count(word) - words_of(write(text)).count(word)) for text, _, _ in made)
        assert found.count(word) >= old.count(word) - lost


@given(texts())
def test_merged_markup_is_markup_that_is_allowed(made):
    """Tags enclose each other as they should, and the cleaner finds nothing to mend."""
    base, siblings = made
    result = merge([html_of(text) for text, _, _ in siblings], html_of(base), True)
    if result is not None:
        assert clean_html(result) == result
        assert all(MARKUP.render(MARKUP.words(paragraph)) for paragraph in MARKUP.split(result))


@FORMS
@given(st.data())
def test_different_paragraphs_always_merge(write, is_markup, data):
    """Two authors who change two paragraphs that are not the same one are never asked."""
    base = [[(f"w{row}{column}", frozenset()) for column in range(4)] for row in range(data.draw(st.integers(2, 5)))]
    one, other = data.draw(st.lists(st.integers(0, len(base) - 1), min_size=2, max_size=2, unique=True))
    made = []
    for author, row in enumerate((one, other)):
        text = [list(line) for line in base]
        text[row][data.draw(st.integers(0, 3))] = (f"own{author}", frozenset())
        made.append(text)
    both = [made[0][row] if row == one else made[1][row] for row in range(len(base))]
    assert merge([write(text) for text in made], write(base), is_markup) == write(both)


# --- by example ------------------------------------------------------------------------------------------------------------------


MERGED = [
    ("the cat sat.", ["the black cat sat.", "the cat stood."], "the black cat stood."),
    ("one\ntwo\nthree", ["one\ntwo\nthree\nfour", "zero\none\ntwo\nthree"], "zero\none\ntwo\nthree\nfour"),
    ("one\ntwo\nthree", ["one\nthree", "one\ntwo\n3"], "one\n3"),
    ("a b c", ["a b", "x a b c"], "x a b"),
    ("    return a", ["    return a, b", "    return c"], "    return c, b"),
    ("\tindented", ["\t\tindented", "    indented"], None),
    ("if a:\n    b()", ["if a:\n    b()\n    c()", "if not a:\n    b()"], "if not a:\n    b()\n    c()"),
    ("same", ["changed", "changed"], "changed"),
    ("word", ["one", "other"], None),
    ("a\nb\nc", ["a\nc", "a\nb!\nc"], None),
    ("a\nb\nc\nd", ["a\nd", "a\nb\nnew\nc\nd"], None),
    ("the cat sat", ["another thing altogether", "the cat sat down"], None),
    ("1,000 people", ["2,000 people", "1,500 people"], None),
    ("水は低きに流れる", ["水は低きに流れた", "水も低きに流れる"], "水も低きに流れた"),
]


@pytest.mark.parametrize(("base", "made", "wanted"), MERGED)
def test_plain_text(base, made, wanted):
    """Lines, then words; a conflict where one place has two contents."""
    assert merge(made, base) == wanted


MARKED_UP = [
    # One makes a word bold, another changes another word.
    ("<p>a b c</p>", ["<p>a <strong>b</strong> c</p>", "<p>a b d</p>"], "<p>a <strong>b</strong> d</p>"),
    # Overlapping marks of two authors: sets on words, which cannot be mis-nested.
    (
        "<p>a b c</p>",
        ["<p><strong>a b</strong> c</p>", "<p>a <em>b c</em></p>"],
        "<p><strong>a</strong> <em><strong>b</strong> c</em></p>",
    ),
    # One marks all, another changes a word of it: what he wrote is marked too.
    ("<p>a b c</p>", ["<p><em>a b c</em></p>", "<p>a x c</p>"], "<p><em>a x c</em></p>"),
    # A paragraph is changed and another one put behind it; somebody else changes another word of the first.
    ("<p>one two three</p>", ["<p>one two 3</p><p>new</p>", "<p>1 two three</p>"], "<p>1 two 3</p><p>new</p>"),
    # Of a list, items are added at both ends; the element becomes another one and its words change.
    ("<ul><li>a</li></ul>", ["<ul><li>z</li><li>a</li></ul>", "<ul><li>a</li><li>c</li></ul>"], "<ul><li>z</li><li>a</li><li>c</li></ul>"),
    ("<p>a b</p>", ["<h2>a b</h2>", "<p>a c</p>"], "<h2>a c</h2>"),
    ("<p>to</p>", ['<p><a href="/x">to</a></p>', "<p><strong>to</strong></p>"], '<p><a href="/x"><strong>to</strong></a></p>'),
    # Two links on one word, and tags that would not nest: somebody is asked.
    ("<p>to</p>", ['<p><a href="/x">to</a></p>', '<p><a href="/y">to</a></p>'], None),
    ("<ul><li>a</li><li>b</li></ul>", ["<ul><li>a</li></ul><ul><li>b</li></ul>", "<ol><li>a</li><li>b</li></ol>"], None),
    ("<p>a</p>", ["<p>a", "<p>b</p>"], None),
    (
        "<pre><code>a\n  b\n</code></pre>",
        ["<pre><code>a\n  b\n  c\n</code></pre>", "<pre><code>x\n  b\n</code></pre>"],
        "<pre><code>x\n  b\n  c\n</code></pre>",
    ),
    ("<p>a &amp; b</p>", ["<p>a &amp; c</p>", "<p>1 &amp; b</p>"], "<p>1 &amp; c</p>"),
    ("<p>a</p>\n<p>b</p>\n", ["<p>a</p>\n<p>c</p>\n", "<p>1</p>\n<p>b</p>\n"], "<p>1</p>\n<p>c</p>"),
    ("<p>a<br>b</p>", ["<p>a<br>c</p>", "<p>1<br>b</p>"], "<p>1<br>c</p>"),
    ("", ["<p>one</p>", "<p>two</p>"], None),
]  # fmt: skip


@pytest.mark.parametrize(("base", "made", "wanted"), MARKED_UP)
def test_markup(base, made, wanted):
    """Elements, then words; marks are sets on words."""
    assert merge(made, base, is_markup=True) == wanted


def test_three_authors_merge_at_once():
    """Not by folding: each is compared with what all had seen."""
    base = "one\ntwo\nthree\nfour"
    assert merge(["1\ntwo\nthree\nfour", "one\ntwo\n3\nfour", "one\ntwo\nthree\n4"], base) == "1\ntwo\n3\n4"


def numbers(start, stop, between):
    """Return a text of numbers, none of which comes twice."""
    return between.join(map(str, range(start, stop)))


LINKS = "<p>" + "".join(f"<a href='{n}'>" for n in range(4000)) + "x y " * 4000 + "</a>" * 4000 + "</p>"
HOSTILE = {
    "16 MB": ("a" * (8 << 20), "b" * (8 << 20), "c", False),
    "120,000 words": (numbers(0, 60_000, " "), numbers(60_000, 120_000, " "), "x y", False),
    "90,000 lines": (numbers(0, 30_000, "\n"), numbers(30_000, 60_000, "\n"), numbers(60_000, 90_000, "\n"), False),
    "open tags": ("<p>" + "<b " * 60_000, "<p>" + "<a '\"" * 50_000, "<p>x</p>", True),
    "quotes": ("<a " + "\"'" * 90_000, "<b " + "'\"" * 90_000, "<p>x</p>", True),
    "deep": ("<ul><li>" * 20_000 + "</li></ul>" * 20_000, "<p>y</p>", "<p>x</p>", True),
    "marks": (LINKS, "<p>y</p>", "<p>x</p>", True),
    "points": ("." * 190_000 + "x", "x" + "." * 190_000, "y", False),
    "spaces": (" " * 190_000 + "x", "x" + " " * 190_000, "y", False),
    "alike": ("a\n" * 40_000 + "b", "b\n" + "a\n" * 40_000, "a\n" * 20_000, False),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_costs_a_bounded_time(name):
    """Beyond the bounds nothing is merged; no replica hangs."""
    one, other, base, is_markup = HOSTILE[name]
    before = time.process_time()
    merge([one, other], base, is_markup)
    differences(one, other, is_markup)
    assert time.process_time() - before < 3


# --- differences, for people -----------------------------------------------------------------------------------------------------


def test_differences_name_paragraphs_and_words():
    """What is the same, what was taken out, what came, and what is only marked otherwise; in readable text."""
    old = "<p>Same &amp; same</p><p>a b c</p><p>gone</p>"
    new = "<p>Same &amp; same</p><p>a <b>b</b> d</p><ul><li>x</li></ul>"
    assert differences(old, new, True) == [
        [Segment("same", "Same & same")],
        [Segment("same", "a"), Segment("marked", " b"), Segment("removed", " c"), Segment("added", " d")],
        [Segment("removed", "gone"), Segment("added", "\nx")],
    ]


@FORMS
@given(st.data())
def test_differences_hold_all_words_of_both(write, is_markup, data):
    """Without the added ones it is the old text, without the removed ones the new one."""
    base, made = data.draw(texts())
    old, new = write(base), write(made[0][0])
    found = differences(old, new, is_markup)

    def left(without):
        return [word for line in found for kind, text in line if kind != without for word in text.split()]

    assert left("added") == words_of(old)
    assert left("removed") == words_of(new)

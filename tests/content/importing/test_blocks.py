"""The body of a file becomes blocks."""

import pytest


def test_running_text_is_one_block_with_headings_from_the_second_level(site):
    """Paragraphs, lists and headings in a row are one text; headings of the first and of deep levels are moved between."""
    blocks = site.blocks("# One\n\nText with **bold** and [a link](/x).\n\n- item\n\n###### Six\n")
    assert [kind for kind, data in blocks] == ["richtext"]
    html = blocks[0][1]["html"]
    assert '<h2 id="one">One</h2>' in html and '<h4 id="six">Six</h4>' in html and "<strong>bold</strong>" in html


def test_a_paragraph_with_only_an_image_becomes_an_image(site):
    """An image on its own is a block with its alternative text."""
    site.picture()
    blocks = site.blocks("Before.\n\n![Red thing](/assets/blog/x.png)\n\nAfter.")
    assert [kind for kind, data in blocks] == ["richtext", "image", "richtext"]
    assert blocks[1][1]["alt"] == "Red thing" and blocks[1][1]["asset"]


@pytest.mark.parametrize(
    "body",
    [
        '{% image "assets/blog/x.png" "Red thing" %}',
        '{% image "assets/blog/x.png", "Red thing", "100vw" %}',
        '{% image "assets/blog/x.png" "wide" "Red thing" %}',
        '{% image_with_class "assets/blog/x.png" "wide" "Red thing" %}',
        "{%- image 'assets/blog/x.png' 'Red thing' -%}",
        '{% include "figure.html", image: "/assets/blog/x.png", alt: "Red thing" %}',
        '{% include figure.html image="/assets/blog/x.png" alt="Red thing" %}',
        '{{< figure src="/assets/blog/x.png" alt="Red thing" >}}',
        '<img src="/assets/blog/x.png" alt="Red thing"/>',
        '<img src="{{ "/assets/blog/x.png" | url }}" alt="Red thing">',
        '<img src="{{ site.baseurl }}/assets/blog/x.png" alt="Red thing">',
        '![Red thing]({{ "/assets/blog/x.png" | relative_url }} "title")',
        "![Red thing](../assets/blog/x.png)",
        "![Red thing](blog/x.png)",
        "<p>\n![Red\nthing](/assets/blog/x.png)\n</p>",
        '<div class="wide">\n\n![Red thing](/assets/blog/x.png)\n\n</div>',
    ],
)
def test_images_in_every_habit(site, body):
    """Markdown, HTML, tags, includes and shortcodes all yield the same image block."""
    site.picture()
    blocks = site.blocks(body)
    assert [(kind, data["alt"]) for kind, data in blocks] == [("image", "Red thing")]


def test_quotes_within_an_alternative_text_are_kept(site):
    """An image tag whose text holds quotation marks keeps them."""
    site.picture()
    blocks = site.blocks('{% image "assets/blog/x.png" "Shows "two" things" %}')
    assert blocks[0][1]["alt"] == 'Shows "two" things'


def test_a_figure_gives_its_caption_to_the_image(site):
    """A figure's caption keeps its links, cleaned."""
    site.picture()
    blocks = site.blocks(
        '<figure>\n  {% image "assets/blog/x.png" "Red" %}\n'
        '  <figcaption>By <a href="https://example.org" onclick="x()">them</a></figcaption>\n</figure>'
    )
    assert [kind for kind, data in blocks] == ["image"]
    assert blocks[0][1]["caption"] == 'By <a href="https://example.org">them</a>'


def test_images_within_text_are_lifted_out_in_order(site):
    """An image before the words of a paragraph goes before it, one within or behind goes after it."""
    site.picture("assets/a.png")
    site.picture("assets/b.png", "blue")
    blocks = site.blocks("![A](/assets/a.png) Some words ![B](/assets/b.png) and more.")
    assert [(kind, data.get("alt")) for kind, data in blocks] == [("image", "A"), ("richtext", None), ("image", "B")]
    assert "Some words  and more." in blocks[1][1]["html"]


def test_a_numbered_list_goes_on_counting_behind_an_image(site):
    """A list is parted behind the item with the image, and the rest goes on with the next number."""
    site.picture()
    blocks = site.blocks("1. one\n2. two ![Red](/assets/blog/x.png)\n3. three\n")
    assert [kind for kind, data in blocks] == ["richtext", "image", "richtext"]
    assert '<ol start="3">' in blocks[2][1]["html"]


def test_where_an_image_led_stands_in_its_caption(site):
    """The link around an image is not lost."""
    site.picture()
    blocks = site.blocks("[![Red](/assets/blog/x.png)](https://example.org/film)")
    assert blocks[0][1]["caption"] == '<a href="https://example.org/film">example.org/film</a>'


def test_an_image_that_is_not_there_leaves_its_words(site):
    """A missing image is listed by name, with its line, and its alternative text and caption stay."""
    blocks = site.blocks("Text.\n\n<figure><img src='/assets/no.png' alt='Nothing'><figcaption>Said</figcaption></figure>")
    assert site.report["missing_images"] == ["assets/no.png"]
    assert "Nothing" in blocks[0][1]["html"] and "Said" in blocks[0][1]["html"]
    assert {"file": "posts/2015-05-11-hello.md", "line": 6, "what": "image /assets/no.png"}.items() <= site.report["dropped"][
        0
    ].items()


def test_an_image_elsewhere_becomes_a_link(site):
    """An image at another site is not fetched; a link leads there."""
    blocks = site.blocks("![Far](https://example.org/far.png)")
    assert blocks[0][1]["html"] == '<p><a href="https://example.org/far.png">Far</a></p>'
    assert site.report["missing_images"] == []


@pytest.mark.parametrize(
    ("body", "code", "language"),
    [
        ("```python\na = 1\n```", "a = 1", "python"),
        ("    indented\n      more", "indented\n  more", ""),
        ("{% highlight ruby %}\nputs 1\n{% endhighlight %}", "puts 1", "ruby"),
        ("```\n{% raw %}{{ x }}{% endraw %}\n```", "{{ x }}", ""),
        ('```\n{% image "a.png" %} {{ unknown }}\n```', '{% image "a.png" %} {{ unknown }}', ""),
        ('<pre><code class="language-html">&lt;b&gt;</code></pre>', "<b>", "html"),
    ],
)
def test_code_is_kept_as_it_was_written(site, body, code, language):
    """Code, fenced, indented or in tags, is a block of its own; template tags in it stay what they are."""
    assert site.blocks(body) == [("code", {"code": code, "language": language})]


def test_quotations_with_who_said_it(site):
    """A quotation in Markdown or HTML is a quote; its footer names the speaker."""
    blocks = site.blocks("> Said *so*.\n\n<blockquote>Done<footer>— Jane</footer></blockquote>")
    assert blocks == [
        ("quote", {"html": "<p>Said <em>so</em>.</p>", "attribution": ""}),
        ("quote", {"html": "Done", "attribution": "Jane"}),
    ]


def test_tables_in_markdown_and_in_html(site):
    """Both kinds of table become rows of text, with header and caption; links in cells are reported."""
    blocks = site.blocks(
        "| a | b |\n|---|---|\n| 1 | [2](/x) |\n\n"
        "<table><caption>C</caption><tr><td>x<br>y</td><td></td></tr>\n\n<tr><td>z</td></tr></table>"
    )
    assert blocks == [
        ("table", {"rows": [["a", "b"], ["1", "2"]], "header": True, "caption": ""}),
        ("table", {"rows": [["x y", ""], ["z", ""]], "header": False, "caption": "C"}),
    ]
    assert [drop["what"] for drop in site.report["dropped"]] == ["link to /x"]


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ("{{ 'https://www.youtube-nocookie.com/embed/x' | embed: 'Film' }}", "https://www.youtube-nocookie.com/embed/x"),
        ('<div class="video"><iframe title="Film"\n src="//example.org/x"></iframe></div>', "https://example.org/x"),
        ('{{< youtube id="x_-1" title="Film" >}}', "https://www.youtube-nocookie.com/embed/x_-1"),
    ],
)
def test_frames_become_embeds(site, body, url):
    """A video by filter, frame or shortcode is an embed with its title."""
    assert site.blocks(body) == [("embed", {"url": url, "title": "Film"})]


@pytest.mark.parametrize(
    ("body", "tone"),
    [
        ('<div class="usa-alert usa-alert-warning"><p>Mind!</p></div>', "warning"),
        ('<aside class="callout">\n\nMind!\n\n</aside>', "note"),
        ("> [!TIP]\n> Mind!", "tip"),
    ],
)
def test_boxes_that_stand_out_become_callouts(site, body, tone):
    """Alerts, callouts and GitHub's notes are callouts with their tone."""
    [(kind, data)] = site.blocks(body)
    assert (kind, data["tone"]) == ("callout", tone)
    assert data["html"].split() == ["<p>Mind!</p>"]


def test_footnotes_stand_in_order_at_the_end(site):
    """References become raised numbers, the notes a numbered list; code is left alone."""
    [(_kind, data)] = site.blocks("Fact[^x] and `[^x]`.\n\n[^x]: The *source*\n    goes on.\n\nThe end.")
    assert "Fact<sup>1</sup> and <code>[^x]</code>." in data["html"]
    assert data["html"].index("The end.") < data["html"].index("<hr>") < data["html"].index("The <em>source</em>\ngoes on.")


def test_what_is_dropped_is_reported_with_its_line_and_reason(site):
    """Scripts, looks and unknown tags are named with line, count and reason, and their text stays where it is text."""
    blocks = site.blocks(
        'Text.\n\n<script>evil()</script>\n\n<p style="x">A</p>\n\n{% widget %}{{ nobody }}<font>B</font>\n\n{: .lead}'
    )
    assert "evil" not in str(blocks) and "<p>A</p>" in blocks[0][1]["html"] and "B" in blocks[0][1]["html"]
    found = {(drop["line"], drop["what"]): drop["why"] for drop in site.report["dropped"]}
    assert set(found) == {
        (6, "<script>"), (8, "style of <p>"), (10, "{% widget %}"), (10, "{{ nobody }}"), (10, "<font>"), (12, "{: .lead}"),
    }  # fmt: skip
    assert all(found.values())


def test_placeholders_in_angle_brackets_are_read_as_text(site):
    """What looks like a tag and is none, such as <branch-name>, is shown to readers."""
    [(_kind, data)] = site.blocks("Run checkout <branch-name> now.")
    assert "&lt;branch-name&gt;" in data["html"]


def test_variables_and_links_of_the_former_site(site):
    """Variables of the page, addresses by filter and links to posts lead where they led; comments are gone."""
    [(_kind, data)] = site.blocks(
        "{{ page.title }} [a]({{ '/a/' | url }}) [b]({% post_url 2015-01-02-b %}){% comment %}hidden{% endcomment %}"
    )
    assert data["html"] == '<p>Hello <a href="/a/">a</a> <a href="/2015/01/02/b/">b</a></p>'


def test_hashes_without_a_blank_make_a_heading(site):
    """What the former sites showed as a heading is one; single hashes, numbers and code are what they look like."""
    body = "###Close\n\nText\n##Also\n\n#tag\n\n##7\n\n```\n###code\n```\n\n<pre>\n\n###raw\n</pre>\n\n    ###indented\n"
    blocks = site.blocks(body)
    html = blocks[0][1]["html"]
    assert '<h3 id="close">Close</h3>' in html and '<h2 id="also">Also</h2>' in html
    assert "<p>#tag</p>" in html and "<p>##7</p>" in html
    assert [data["code"] for kind, data in blocks if kind == "code"] == ["###code", "###raw", "###indented"]

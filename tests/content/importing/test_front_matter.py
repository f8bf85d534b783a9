"""The head of a file becomes the fields of a page."""

import datetime

import pytest

from content.models import Page, Redirect, Section


def test_every_field_of_the_front_matter_finds_its_place(site):
    """Title, date, tags, authors, excerpt, description, image and section stand where editors look for them."""
    site.picture()
    site.post(
        "Text.",
        head="title: A *title*\ndate: 2015-05-11T10:00:00-04:00\ntags: [b, a, b]\nauthors:\n- jane\n- name: Joe\n"
        "excerpt: <p>Short &amp; sweet</p>\ndescription: For machines\n"
        "image: /assets/blog/x.png\nimage_alt: Red\ncategory: News",
    )
    site.run()
    page = Page.objects.get()
    assert page.title == "A *title*"
    assert page.date == datetime.datetime(2015, 5, 11, 14, tzinfo=datetime.UTC)
    assert (page.tags, page.authors) == (["a", "b"], ["jane", "Joe"])
    assert (page.summary, page.seo_description) == ("Short & sweet", "For machines")
    assert (page.image.filename, page.image.alt, page.image.width, page.image.height) == ("x.png", "Red", 4, 3)
    assert page.section.title == "News"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("date: 2016-01-02", "2016-01-02"),
        ("date: '2016-01-02'", "2016-01-02"),
        ("date: 2016-01-02 23:30:00 -0400", "2016-01-03"),
        ("date:", "2015-05-11"),
        ("layout: post", "2015-05-11"),
    ],
)
def test_dates_in_all_the_usual_forms_and_from_the_name_of_the_file(site, written, day):
    """The date comes from the front matter, in any usual form, and from the file's name where the front matter has none."""
    site.post("Text.", head=f"title: Hello\n{written}")
    site.run()
    assert str(Page.objects.get().date.date()) == day
    assert Page.objects.get().publication.date == Page.objects.get().date


@pytest.mark.parametrize(
    ("written", "tags"), [("tags: one two", ["one", "two"]), ("tags: one thing, two", ["one thing", "two"])]
)
def test_tags_written_as_one_text_are_parted(site, written, tags):
    """Jekyll's tags in one text are parted at white space, or at commas where there are any."""
    site.post("Text.", head=f"title: Hello\n{written}")
    site.run()
    assert Page.objects.get().tags == tags


def test_drafts_become_pages_that_the_public_does_not_see(site):
    """A page marked as draft is imported and not published; published later in the file, it is published here."""
    site.post("Text.", head="title: Hello\ndraft: true")
    assert site.run()["drafts"] == 1
    assert Page.objects.get().publication_id is None
    site.post("Text.", head="title: Hello\ndraft: false")
    assert site.run()["updated"] == 1
    assert Page.objects.get().publication_id


def test_former_addresses_lead_to_the_page(site):
    """Permalink, redirect_from, aliases and the default address by date each make one redirect, and no path twice."""
    site.post(
        "Text.",
        head="title: Hello\npermalink: /old/:year/:title/\nredirect_from:\n- /a/\n- https://example.org/b/index.html\n- /a",
    )
    assert site.run()["redirects"] == 4
    assert set(Redirect.objects.values_list("path", flat=True)) == {"/old/2015/hello", "/a", "/b", "/2015/05/11/hello"}


def test_a_former_address_belongs_to_the_page_that_had_it_first(site):
    """Two files that claim one address make one redirect, and the report says so."""
    site.post("Text.", head="title: One\nredirect_from: /same")
    site.post("Text.", name="posts/other.md", head="title: Two\nredirect_from: /same")
    report = site.run()
    assert Redirect.objects.get(path="/same").page.title == "One"
    assert "/same" in report["notes"][0]


@pytest.mark.parametrize(
    ("name", "head", "arguments", "section"),
    [
        ("posts/a.md", "title: A", [], "Blog"),
        ("posts/a.md", "title: A", ["--section", "Stories"], "Stories"),
        ("posts/a.md", "title: A\ncategories: [News, Other]", ["--section", "Stories"], "News"),
        ("posts/2015/how-to/a.md", "title: A", ["--section", "Stories"], "How to"),
        ("posts/guides/first-steps/index.md", "title: A", [], "Guides"),
    ],
)
def test_section_by_front_matter_then_folder_then_option_then_name_of_the_folder(site, name, head, arguments, section):
    """A page's own word comes first, then its folder, then --section, then the folder of all pages."""
    site.post("Text.", name=name, head=head)
    site.run(*arguments)
    assert Page.objects.get().section.title == section


def test_a_section_that_is_there_is_used_again(site):
    """A section of the same title, whatever its case, takes the pages in."""
    section = Section.objects.create(title="blog")
    site.post("Text.")
    site.run()
    assert Page.objects.get().section == section


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("no front matter\n", 1, "no front matter"),
        ("---\ntitle: A\n", 1, "does not end"),
        ("---\ntitle: A\ntags: [a\nx: y\n---\n", 4, "not valid YAML"),
        ("---\nlayout: post\ndate: 2015-13-45\ntitle: A\n---\n", 3, "2015-13-45 is no value: month"),
        ("---\ntitle: A\nseen:\n- on: [1, 2015-02-30 10:61:00]\n---\n", 4, "not valid YAML"),
        ("---\ntitle: A\ndate: soon\n---\n", 3, "'soon' is no date"),
        ("---\nlayout: post\n---\n", 1, "no title"),
        ("---\n- a\n---\n", 2, "not a list of names"),
        ("+++\ntitle = 'A'\n+++\n", 1, "TOML"),
        (b"---\ntitle: A\n---\nfine\nnot \xff fine\n", 5, "0xff is not UTF-8"),
        ("---\ntitle: A\n---\n\0\n", 4, "zero byte"),
        ('---\nlayout: x\ntitle: "a\\0b"\n---\n', 3, "not text"),
        ("---\ntitle: !!python/object/apply:os.system [ls]\n---\n", 2, "not valid YAML"),
    ],
)
def test_a_broken_file_is_named_with_line_and_reason_and_stops_nothing(site, content, line, reason):
    """A broken file is reported with its name, line and reason; the others are imported; the exit status is 1."""
    site.file("posts/2015-05-10-broken.md", content)
    site.post("Text.")
    report = site.run()
    assert [(failure["file"], failure["line"]) for failure in report["failed"]] == [("posts/2015-05-10-broken.md", line)]
    assert reason in report["failed"][0]["reason"]
    assert f"posts/2015-05-10-broken.md:{line}: " in site.errors
    assert (site.status, report["pages"], Page.objects.count()) == (1, 1, 1)


def test_blanks_at_the_ends_of_lines_are_forgiven(site):
    """A tab after a value, which other readers of YAML allow, does not fail the page."""
    site.post("Text.", head="title: Hello\nauthors:\n- melody\t\t")
    site.run()
    assert Page.objects.get().authors == ["melody"]


def test_files_about_the_folder_are_no_pages(site):
    """A README or licence without front matter is skipped and named, and is no failure."""
    site.file("posts/README.md", "# About\n")
    report = site.run()
    assert (report["skipped"], report["failed"], site.status) == (["posts/README.md"], [], 0)

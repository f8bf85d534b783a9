"""Files from people who mean harm, or from none: the importer stays within the site, within bounds, and goes on."""

import pytest
from django.core.management import CommandError, call_command

from content.importing import converting
from content.models import Asset, Block, Page


@pytest.mark.parametrize(
    "path",
    [
        "../../secret.png",
        "/../../secret.png",
        "%2e%2e/%2e%2e/secret.png",
        "../assets/../../secret.png",
        "/assets/link.png",
        "blog/../../../secret.png",
    ],
)
def test_no_path_leads_out_of_the_site(site, path):
    """Neither dots, nor encoded dots, nor a symbolic link fetch a file from outside of the site."""
    secret = site.picture("../secret.png")
    (site.root / "assets/link.png").symlink_to(secret)
    site.post(f"![x]({path})\n\n<img src='{path}'>", head=f"title: Hello\nimage: '{path}'")
    report = site.run()
    assert report["missing_images"] and Asset.objects.count() == 0
    assert any("leads out of the site" in drop["why"] for drop in report["dropped"])


def test_a_page_that_is_a_link_out_of_the_site_is_refused(site, tmp_path):
    """A symbolic link to a file elsewhere is a failure, not a page."""
    (tmp_path / "secret.md").write_text("---\ntitle: Secret\n---\n")
    (site.root / "posts/a.md").symlink_to(tmp_path / "secret.md")
    report = site.run()
    assert "leads out of the site" in report["failed"][0]["reason"] and Page.objects.count() == 0


def test_a_comment_that_does_not_end_hides_the_rest_and_is_reported(site):
    """An unclosed comment is reported, and costs no more than its length however often it begins."""
    site.post("Text.\n\n" + "<!--" * 100_000)
    report = site.run()
    assert report["pages"] == 1 and report["dropped"][0]["what"] == "<!--"


def test_a_huge_file_is_refused_without_being_read(site):
    """A file beyond the bound is refused with the bound in the reason."""
    with (site.root / "posts/huge.md").open("wb") as file:
        file.write(b"---\ntitle: Huge\n---\n")
        file.truncate(100 * 1024 * 1024)
    report = site.run()
    assert f"larger than {converting.MAX_FILE >> 10} KB" in report["failed"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (">" * 5000 + " deep", "nested deeper"),
        ("\n".join("  " * level + "- deep" for level in range(500)), "nested deeper"),
        ("<div>" * 50_000, "nested deeper"),
        ("<b>x" * 60_000 + "<p>", "nested deeper"),
        ("<br>" * 60_000, "more than"),
        ("![" * 50_000, "square brackets"),
        ("|a" * 50_000 + "\n" + "|-" * 50_000, "columns"),
        ("<!-- " + "x" * 600_000, "larger than"),
    ],
)
def test_what_is_nested_too_deep_or_too_large_is_refused(site, body, reason):
    """Markup beyond the bounds fails its page with a reason that names the bound, and no other page."""
    site.post(body, name="posts/deep.md")
    site.post("Text.")
    report = site.run()
    assert reason in report["failed"][0]["reason"] and report["pages"] == 1


@pytest.mark.parametrize(
    "front", ["a: &a [x, x]\nb: &b [*a, *a]\ntitle: [*b, *b]", "title: A\nx: " + "[" * 3000, "title: A\nx: " + "9" * 5000]
)
def test_hostile_front_matter_fails_its_page_only(site, front):
    """Aliases, depth and huge numbers in YAML are refused or passed over."""
    site.post("Text.", name="posts/bad.md", head=front)
    site.post("Text.")
    site.run()
    assert Page.objects.filter(title="Hello").exists()


def test_nothing_that_runs_reaches_a_block(site):
    """Scripts, handlers and script addresses are gone from every block, however they are written."""
    site.post(
        '<img src=x onerror="alert(1)">\n\n<a href="javascript:alert(1)">a</a> [b](javascript:alert(1))\n\n'
        '<iframe src="javascript:alert(1)"></iframe>\n\n{% image "x" "\\"><script>alert(1)</script>" %}\n\n'
        "<svg onload=alert(1)>\n\n| <script>alert(1)</script> |\n|--|\n\n<div class=note onclick=alert(1)>c</div>"
    )
    report = site.run()
    shown = " ".join(
        str(data.get("html", "") or data.get("caption", "")) for data in Block.objects.values_list("data", flat=True)
    )
    assert report["pages"] == 1
    assert (
        "<script" not in shown and "javascript:" not in shown.replace("[b](javascript:alert(1))", "") and "onclick" not in shown
    )


def test_what_is_no_image_is_no_asset(site):
    """A text with the suffix of an image is reported with the reason, and no asset is made."""
    site.file("assets/x.png", "<html><script>alert(1)</script>")
    site.post("![x](/assets/x.png)")
    report = site.run()
    assert report["missing_images"] == ["assets/x.png"] and Asset.objects.count() == 0
    assert "no image" in str(report["dropped"])


def test_the_name_of_an_asset_may_stand_in_an_address(site):
    """Spaces and quotes in a file's name are replaced, and its suffix says what it is."""
    site.picture('assets/a "b" c.png')
    site.post("![x](/assets/a%20%22b%22%20c.png)")
    site.run()
    assert Asset.objects.get().filename == "a-b-c.png"


def test_a_drawing_is_told_by_its_content_and_measured(site):
    """An SVG has its content type and size from its own words."""
    site.file("assets/x.svg", '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30.4"></svg>')
    site.post("![x](/assets/x.svg)")
    site.run()
    asset = Asset.objects.get()
    assert (asset.content_type, asset.width, asset.height) == ("image/svg+xml", 40, 30)


def test_images_in_another_folder_are_found_by_option(site, tmp_path):
    """--assets names a folder outside of the site; the first folders of a path may be the folder itself."""
    site.picture("../elsewhere/assets/blog/y.png")
    site.post("![y](/assets/blog/y.png)")
    assert site.run()["images"] == 0
    assert site.run("--assets", str(tmp_path / "elsewhere/assets"))["images"] == 1


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path):
    """The exit status for a path that is absent is 2, and the message says what to give."""
    with pytest.raises(CommandError, match="is not a folder") as caught:
        call_command("import_pages", str(tmp_path / "nowhere"))
    assert caught.value.returncode == 2

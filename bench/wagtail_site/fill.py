"""Publish pages with the same text as all contestants have."""


def pages(count: int) -> None:
    """Make ``count`` pages below the root of the site: ``/page-0/`` and so on."""
    from wagtail.models import Page, Site

    from bench.site import texts
    from bench.wagtail_site.home.models import TextPage

    root = Page.objects.get(depth=1)
    home = root.add_child(instance=TextPage(title="Home", slug="bench-home"))
    Site.objects.all().delete()
    Site.objects.create(hostname="localhost", root_page=home, is_default_site=True)
    for number, (title, paragraphs) in enumerate(texts(count)):
        body = [("paragraph", f"<p>{text}</p>") for text in paragraphs]
        home.add_child(instance=TextPage(title=title, slug=f"page-{number}", body=body))

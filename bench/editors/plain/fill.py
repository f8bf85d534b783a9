"""The pages. Prints where each is edited."""

from bench.editors.content import SUMMARY, TITLE, blocks


def fill(sizes):
    """Make an account and a page of each size."""
    from django.contrib.auth.models import User
    from django.db import transaction
    from django.urls import reverse

    from bench.editors.plain.models import KINDS, Page, Section

    User.objects.create_superuser("bench", "bench@example.org", "bench")
    section = Section.objects.create(title="News")
    for size in sizes:
        with transaction.atomic():
            page = Page.objects.create(title=TITLE.format(size), section=section, summary=SUMMARY, tags="sea", authors="Ada")
            for number, (kind, values) in enumerate(blocks(size, "1")):
                KINDS[kind].objects.create(parent=page, ordering=10 * (number + 1), **values)
        print(reverse("admin:plain_page_change", args=[page.pk]))

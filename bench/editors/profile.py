"""Where the time goes when a page is opened and saved in the editor: shares of a profile, in this process, without a server.

``python -m bench.editors.profile [--blocks 30]``. A profile makes Python look slower beside the disk than it is.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from bench.editors.browser import SHORT, form_of

# What is told of a request: a phase, and the functions that it consists of, each by the end of its file and its name.
OPENING = {
    "queries": [("django/db/backends/utils.py", "execute")],
    "forms are made": [("content/editor/formsets.py", "_construct_form"), ("content/forms/page.py", "__init__")],
    "templates": [("django/template/response.py", "rendered_content")],
    "  of these the blocks": [("content/editor/markup.py", "block")],
}
SAVING = {
    "the form is read": [("django/http/request.py", "_load_post_and_files")],
    "forms are made and checked": [("django/forms/formsets.py", "all_valid"), ("content/forms/page.py", "__init__")],
    "blocks are compared and written": [("content/editor/saving.py", "save_blocks")],
    "the changeset, registers, log": [("sync/commit.py", "flush")],
    "COMMIT": [("~", "<method 'commit' of 'sqlite3.Connection' objects>")],
}


def main() -> None:
    """Make a replica with one page in a temporary folder, open and save it, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=30, help="of the page (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgecms-profile-") as folder:
        os.environ |= {"EDGECMS_DATA": folder, "EDGECMS_URL": "http://testserver", "DJANGO_SETTINGS_MODULE": "edgecms.settings"}
        client, path = _site(options.blocks)
        for _ in range(3):  # the first ones fill caches
            form = form_of(client.get(path).content.decode(), "title")
        print(f"a page of {options.blocks} blocks")
        _told("opening", lambda: client.get(path), OPENING)
        text = next(name for name in form if name.endswith("-html") and "initial" not in name)
        body = urlencode(form | {text: "<p>Changed</p>"})
        _told("saving, one block changed", lambda: client.post(path, body, content_type=SHORT), SAVING)


def _site(blocks: int) -> tuple[Any, str]:
    """Return a client in which somebody is logged in, and where the page is edited."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from bench.editors.ours import fill
    from content.admin.addresses import editor_address
    from content.models import Editor, Page

    call_command("migrate", verbosity=0)
    fill([blocks])
    client = Client()
    client.force_login(Editor.objects.get())
    return client, editor_address(Page.objects.get())


def _told(name: str, work: Callable[[], Any], phases: Mapping[str, list[tuple[str, str]]]) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile)
    found: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    print(f"{name}: {stats.total_calls:,} calls")  # type: ignore[attr-defined]
    for phase, functions in phases.items():
        spent = sum(
            entry[3]
            for (file, _, function), entry in found.items()
            if any(file.endswith(end) and function in (wanted, f"{{{wanted}}}") for end, wanted in functions)
        )
        print(f"  {phase:34}{spent / stats.total_tt:6.0%}")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()

"""``import_pages``: a folder of Markdown becomes sections, pages, assets and redirects."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from content.importing.report import Report
from content.importing.running import run
from content.importing.sources import find_site
from sync.management.reporting import require_migrated, told
from sync.pending import written_by

logger = logging.getLogger(__name__)
LOG_EVERY = 50  # files


class Command(BaseCommand):
    help = (
        "Import a folder of Markdown files with YAML front matter, and their images, as sections, published pages, assets and "
        "redirects. Importing again changes nothing but the pages whose files or images have changed. "
        "Exit status: 0 when every file became a page, 1 when one did not, 2 for wrong usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path", metavar="PATH", type=Path, help="the top folder of a site, or the folder with its Markdown files"
        )
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
        parser.add_argument("--section", default="", metavar="TITLE", help="the section of pages that name none")
        parser.add_argument(
            "--assets",
            action="append",
            default=[],
            type=Path,
            metavar="DIR",
            help="another folder to look for images in (repeatable)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for folder in [options["path"], *options["assets"]]:
            if not folder.is_dir():
                raise CommandError(f"{folder} is not a folder; give the folder that holds the Markdown files", returncode=2)
        if len(options["section"]) > 200:
            raise CommandError("--section is longer than 200 characters", returncode=2)
        site = find_site(options["path"], tuple(folder.resolve() for folder in options["assets"]))
        with told(self, options["json"]):
            require_migrated()
        advice = "; what was imported before stays, so import again then"
        with told(self, options["json"], advice), _progress() as progress, written_by("import_pages"):
            report = run(site, options["section"].strip(), progress)
        self.stdout.write(json.dumps(report.as_json(), ensure_ascii=False) if options["json"] else summary(report))
        for failure in report.failed:
            self.stderr.write(str(failure))
        if report.failed:
            sys.exit(1)


@contextmanager
def _progress() -> Iterator[Any]:
    """Yield what shows progress: a bar on a terminal, lines in the log elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _log
        return
    columns = (
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, file: bar.update(task, completed=done, total=total, description=file)


def _log(done: int, total: int, file: str) -> None:
    if done % LOG_EVERY == 0 or done == total:
        logger.info("imported %d of %d files, last %s", done, total, file)


def summary(report: Report) -> str:
    """Return the report for people: counts, then lists of what is missing, dropped and failed."""
    lines = [
        f"{report.pages} pages in {', '.join(report.sections) or 'no section'}: "
        f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged ({report.drafts} drafts)",
        f"{report.images} images found, {len(report.missing_images)} missing, {report.redirects} redirects made",
        f"{report.seconds} seconds",
    ]
    lines += _listed("Missing images", report.missing_images)
    causes: Counter[tuple[str, str]] = Counter()
    for drop in report.dropped:
        if not drop.what.startswith("image "):
            causes[drop.what.split(" to ")[0], drop.why] += drop.count
    lines += _listed("Dropped markup", [f"{count} × {what}: {why}" for (what, why), count in causes.most_common()])
    lines += _listed("Skipped, being no pages", report.skipped)
    lines += _listed("To know", report.notes)
    if report.failed:
        lines.append(f"{len(report.failed)} files did not become pages:")
    return "\n".join(lines)


def _listed(title: str, entries: list[str]) -> list[str]:
    return [f"{title} ({len(entries)}):", *(f"  {entry}" for entry in entries)] if entries else []

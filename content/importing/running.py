"""One import: goes through the files, keeps going when one is broken, and reports."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from django.db import DatabaseError

from content.importing.converting import Converted, convert
from content.importing.images import Library, elsewhere
from content.importing.report import Failure, PageError, Report
from content.importing.sources import ABOUT_FILES, Site, page_files
from content.importing.writing import Writer
from sync import storage

logger = logging.getLogger(__name__)


def run(site: Site, section: str = "", progress: Callable[[int, int, str], None] = lambda done, total, file: None) -> Report:
    """Import every page of ``site``. ``section`` is for files that name none; ``progress`` hears of each file when it is done.

    A file that fails is in the report; so is what it lacks and loses. Importing the same files again writes nothing.
    Raises SyncError where the replica takes no writes: no other file would fare better.
    """
    started = time.monotonic()
    files = list(page_files(site))
    run = _Run(site, section or site.default_section())
    for done, file in enumerate(files, 1):
        run.take(file)
        progress(done, len(files), site.source(file))
    return run.close(time.monotonic() - started)


class _Run:
    """The state of one import."""

    def __init__(self, site: Site, default_section: str) -> None:
        self.site = site
        self.default_section = default_section
        self.library = Library(site)
        self.writer = Writer(self.library)
        self.report = Report()
        self.missing: set[str] = set()
        self.shown: set[Path] = set()
        self.sections: set[str] = set()
        self.redirects_before = len(self.writer.paths)

    def take(self, file: Path) -> None:
        """Import one file, or note why not."""
        name = self.site.source(file)
        try:
            page = convert(file, self.site, self.library, self.default_section)
            outcome = self.writer.write(page)
        except PageError as error:
            if file.stem.lower() in ABOUT_FILES and "no front matter" in error.reason:
                self.report.skipped.append(name)
                return
            self.fail(name, error.line, error.reason)
        except (DatabaseError, OSError) as error:
            if known := storage.trouble(error):
                raise known from None
            self.fail(name, 1, f"the page could not be stored: {error}")
        except Exception as error:
            # A file that nobody thought of must not take the other files with it.
            logger.exception("%s: unexpected error", name)
            self.fail(name, 1, f"the importer does not understand this file: {type(error).__name__}: {error}")
        else:
            self.count(page, outcome)

    def fail(self, name: str, line: int, reason: str) -> None:
        """Note a file that did not become a page."""
        self.report.failed.append(Failure(name, line, reason))

    def count(self, page: Converted, outcome: str) -> None:
        """Add one page to the report."""
        self.report.pages += 1
        setattr(self.report, outcome, getattr(self.report, outcome) + 1)
        self.report.drafts += page.matter.draft
        self.sections.add(page.section)
        self.missing.update(source.lstrip("/") for source in page.missing if not elsewhere(source))
        self.shown.update(picture.path for picture in page.pictures.values())
        for source, why in page.missing.items():
            page.drops.add(page.lines.get(source, 1), f"image {source}", why)
        self.report.dropped += page.drops.of(page.source)

    def close(self, seconds: float) -> Report:
        """Return the whole report."""
        self.report.images = len(self.shown)
        self.report.missing_images = sorted(self.missing)
        self.report.sections = sorted(self.sections)
        self.report.redirects = len(self.writer.paths) - self.redirects_before
        self.report.notes = self.writer.notes
        self.report.seconds = round(seconds, 1)
        return self.report

"""Which public pages a transaction changes, whether it was made here or came by replication: just those leave the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from content.models import Asset, Publication, PublicPage, Section
from content.pagecache.folder import MEDIA, PageFolder
from content.public.published import publications
from sync import conf, pending, signals
from sync.db import sql

LISTS = ("/", "/feed", "/sitemap.xml")
EVERYTHING: tuple[set[str] | None, ...] = (None, {f"/{MEDIA}"})  # all pages, all media
COLUMNS = ("publication", "section", "address")
TABLE = PublicPage._meta.db_table


def folder() -> PageFolder:
    """Return the folder of this replica."""
    return PageFolder(conf.data() / "pages")


def fingerprint() -> str:
    """Return what pages depend on besides the database: the templates and styles of this release, and the settings shown."""
    digest = hashlib.sha256(repr((settings.SITE_NAME, settings.LANGUAGE_CODE, conf.url(), conf.name())).encode())
    here = Path(__file__).resolve().parent.parent
    for path in sorted([*here.glob("templates/content/**/*"), *here.glob("static/content/site/*"), *here.glob("**/*.py")]):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@receiver(signals.projected)
def note_changes(rows: Iterable[Any], **_: Any) -> None:
    """Compare what readers saw before with what they see now, and announce what differs."""
    tokens: dict[str, set[str]] = {}
    for row in rows:
        tokens.setdefault(row.model, set()).add(row.token)
    pages = tokens.get("content.page", set()) | _pages_of(tokens.get("content.publication", set()))
    changed = _compare(pages)
    if _shows_sections(tokens.get("content.section", set())):
        announce(None)
    elif changed is None or changed:
        announce(changed)
    media = _media_of(tokens.get("content.asset", set()))
    if media:
        announce(media)


def _pages_of(tokens: Iterable[str]) -> set[str]:
    return {page for (page,) in sql.select_in(Publication._meta.db_table, ["page_id"], "token", sorted(tokens))}


def _compare(pages: set[str]) -> set[str] | None:
    """Bring ``PublicPage`` up to date for ``pages``; return the addresses that show something else now, None for all of them."""
    tokens = sorted(pages)
    was = {row[0]: row[1:] for row in sql.select_in(TABLE, ("page", *COLUMNS), "page", tokens)}
    now = _now(tokens)
    differing = {token for token in pages if was.get(token) != now.get(token)}
    if not differing:
        return set()
    states = [state for token in differing for state in (was.get(token), now.get(token)) if state]
    sections = {state[1] for state in states}
    before = _filled(sections)
    sql.upsert(TABLE, "page", COLUMNS, [(token, *now[token]) for token in differing if token in now])
    sql.delete_in(TABLE, "page", sorted(token for token in differing if token not in now))
    if _filled(sections) != before:  # the list of sections, which stands on every page, changes
        return None
    lists = {f"/{slug}" for slug in Section.objects.filter(pk__in=sections).values_list("slug", flat=True)}
    return {state[2] for state in states} | lists | set(LISTS)


def _now(tokens: list[str]) -> dict[str, tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    for start in range(0, len(tokens), sql.CHUNK):
        query = publications().filter(page_id__in=tokens[start : start + sql.CHUNK]).order_by("page_id")
        for row in query.values_list("page_id", "token", "section_id", "section__slug", "slug"):
            found[row[0]] = (row[1], row[2], f"/{row[3]}/{row[4]}")
    return found


def _filled(sections: Iterable[str]) -> set[str]:
    return {section for (section,) in sql.select_in(TABLE, ["section"], "section", sorted(sections))}


def _shows_sections(tokens: set[str]) -> bool:
    """Whether one of the sections ``tokens``, which changed, has public pages; they get their addresses anew."""
    every = sorted(tokens)
    touched = {page for (page,) in sql.select_in(TABLE, ["page"], "section", every)}
    # Few sections of very many are shown, as where a site is pulled whole: those of which there are no publications are left out.
    named = {section for (section,) in sql.select_in(Publication._meta.db_table, ["section_id"], "section_id", every)}
    for start in range(0, len(named), sql.CHUNK):
        part = sorted(named)[start : start + sql.CHUNK]
        touched.update(publications().filter(section_id__in=part).values_list("page_id", flat=True))
    _compare(touched)
    return bool(touched)


def _media_of(assets: set[str]) -> set[str]:
    """Return the files of the blobs that ``assets``, which changed, name now, and of those that no asset names any more."""
    try:
        kept = [path.name for path in (folder().root / MEDIA).iterdir()] if assets else []
    except OSError:
        return set()
    table = Asset._meta.db_table
    named = {digest for (digest,) in sql.select_in(table, ["digest"], "digest", kept)}
    changed = {digest for (digest,) in sql.select_in(table, ["digest"], "token", sorted(assets))}
    return {f"/{MEDIA}/{digest}" for digest in kept if digest in changed or digest not in named}


def announce(addresses: set[str] | None) -> None:
    """Take ``addresses`` (None: all) out of the folder, and let nothing be kept until this transaction has ended."""
    change = folder().change(addresses)
    pending.of("default").undo.append(change.end)
    transaction.on_commit(change.end, robust=True)


@receiver(signals.replacing)
def forget_pages(**_: Any) -> None:
    """Empty the folder: what was rendered from another database is not to be shown."""
    for addresses in EVERYTHING:
        folder().change(addresses).end()


def derive() -> None:
    """Make ``PublicPage`` anew and empty the folder: after whatever went past the signals."""
    PublicPage.objects.all().delete()
    rows = publications().values_list("page_id", "token", "section_id", "section__slug", "slug")
    found = [(page, token, section, f"/{where}/{slug}") for page, token, section, where, slug in rows.iterator()]
    sql.upsert(TABLE, "page", COLUMNS, found)
    for addresses in EVERYTHING:
        announce(addresses)

"""Pages to rows: one transaction for each page, and nothing written that is as it should be already."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import Any

from django.db import transaction
from django.utils import timezone

from content.importing.converting import Converted
from content.importing.images import Library
from content.models import Block, Page, Publication, Redirect, Section
from content.ordering import spread
from content.publishing import publish, snapshot, unpublish

AUTHOR = "import_pages"  # who is named as the author of what an import publishes


class Writer:
    """Writes the pages of one import. It reads what is there once, at the start."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.sections = {section.title.casefold(): section for section in Section.objects.order_by("-token")}
        self.known: dict[str, tuple[str, str]] = {
            source: (token, digest)
            for source, token, digest in Page.objects.exclude(source="")
            .order_by("-token")
            .values_list("source", "token", "source_digest")
            .iterator()
        }
        self.paths: dict[str, str] = dict(Redirect.objects.values_list("path", "page_id").iterator())
        self.notes: list[str] = []

    def write(self, page: Converted) -> str:
        """Bring the database to what ``page`` says, in one transaction; return ``created``, ``updated`` or ``unchanged``."""
        token, digest = self.known.get(page.source, ("", ""))
        if token and digest == page.digest:
            return "unchanged"
        assets, paths, sections = dict(self.library.tokens), dict(self.paths), dict(self.sections)
        try:
            with transaction.atomic():
                row = self.update(token, page) if token else self.create(page)
        except BaseException:
            # What was made in this transaction is not there; the next page must make it again.
            self.library.tokens, self.paths, self.sections = assets, paths, sections
            raise
        self.known[page.source] = (row.token, page.digest)
        return "updated" if token else "created"

    def create(self, page: Converted) -> Page:
        """Make the page with all that belongs to it."""
        row = Page(source=page.source, source_digest=page.digest, **self.fields(page))
        row.date = page.matter.date or timezone.now()
        row.save(force_insert=True)
        contents = self.contents(page)
        keys = spread(len(contents))
        Block.objects.bulk_create(
            Block(parent=row, ordering=key, type=kind, data=data) for key, (kind, data) in zip(keys, contents, strict=True)
        )
        self.redirect(row, page)
        if not page.matter.draft:
            publish(row, AUTHOR)
        return row

    def update(self, token: str, page: Converted) -> Page:
        """Change what differs of the page ``token``, and publish it anew unless an editor has taken it down."""
        row = Page.objects.select_for_update().get(token=token)
        if self.edited(row):
            self.notes.append(
                f"{page.source}: editors had changed this page since it was imported; the file's version is an edit on top"
            )
        wanted = {**self.fields(page), "source_digest": page.digest}
        if page.matter.date:
            wanted["date"] = page.matter.date
        changed = [
            name
            for name, value in wanted.items()
            if getattr(row, _column(name)) != (value.token if isinstance(value, Section) else value)
        ]
        for name in changed:
            setattr(row, name, wanted[name])
        row.save(update_fields=[*changed, "updated"])
        self.update_blocks(row, self.contents(page))
        self.redirect(row, page)
        self.publish_again(row, page)
        return row

    def publish_again(self, row: Page, page: Converted) -> None:
        """Publish or take down the page after a change of its file."""
        if page.matter.draft:
            if row.publication_id:
                unpublish(row)
        elif row.publication_id or not row.publications.exists():
            if not self.shown(row):
                publish(row, AUTHOR)
        else:
            self.notes.append(
                f"{page.source}: the page was taken down by an editor and stays so; publish it there to show the new version"
            )

    def shown(self, row: Page) -> bool:
        """Say whether the public sees the page just as it is stored."""
        now = Publication.objects.filter(token=row.publication_id or "").first()
        if now is None or (now.section_id, now.slug, now.date) != (row.section_id, row.slug, row.date):
            return False
        return _canonical(now.data) == _canonical(snapshot(row))

    def edited(self, row: Page) -> bool:
        """Say whether the page differs from what an import published last."""
        last = Publication.objects.filter(page=row, author=AUTHOR).order_by("-made", "-token").first()
        return last is not None and _canonical(last.data) != _canonical(snapshot(row))

    def fields(self, page: Converted) -> dict[str, Any]:
        """Return the fields of the page, but for the date, which a file may leave open."""
        matter = page.matter
        picture = page.pictures.get(matter.image)
        return {
            "title": matter.title,
            "section": self.section(page.section),
            "summary": matter.summary,
            "tags": matter.tags,
            "authors": matter.authors,
            "image_id": self.library.asset(picture, matter.image_alt) if picture else None,
            "seo_description": matter.seo_description,
        }

    def section(self, title: str) -> Section:
        """Return the section of this title, made where it is not there."""
        key = title.casefold()
        if key not in self.sections:
            self.sections[key] = Section.objects.create(title=title)
        return self.sections[key]

    def contents(self, page: Converted) -> list[tuple[str, dict[str, Any]]]:
        """Return type and data of the blocks, the assets of images in place."""
        contents: list[tuple[str, dict[str, Any]]] = []
        for draft in page.drafts:
            data = dict(draft.data)
            if draft.source:
                data["asset"] = self.library.asset(page.pictures[draft.source], data.get("alt", ""))
            contents.append((draft.type, data))
        return contents

    def redirect(self, row: Page, page: Converted) -> None:
        """Let the former addresses lead to the page, but for those that lead to another one."""
        taken = [path for path in page.redirects if self.paths.get(path, row.token) != row.token]
        for path in taken:
            self.notes.append(f"{page.source}: the former address {path} leads to another page already and stays so")
        new = [path for path in page.redirects if path not in self.paths]
        Redirect.objects.bulk_create(Redirect(path=path, page=row) for path in new)
        self.paths.update(dict.fromkeys(new, row.token))

    def update_blocks(self, row: Page, contents: list[tuple[str, dict[str, Any]]]) -> None:
        """Change the blocks of the page into ``contents`` with as few writes as can be; what is alike keeps its token."""
        old = list(row.blocks.all())
        matcher = SequenceMatcher(
            None, [_key(block.type, block.data) for block in old], [_key(*entry) for entry in contents], autojunk=False
        )
        kept: list[Block | tuple[str, dict[str, Any]]] = []
        gone: list[Block] = []
        for tag, start, end, new_start, new_end in matcher.get_opcodes():
            if tag == "equal":
                kept += old[start:end]
                continue
            rest = old[start:end]
            for kind, data in contents[new_start:new_end]:
                match = next((position for position, block in enumerate(rest) if block.type == kind), None)
                if match is None:
                    kept.append((kind, data))
                    continue
                gone += rest[:match]
                block, rest = rest[match], rest[match + 1 :]
                block.data = data
                block.save(update_fields=["data"])
                kept.append(block)
            gone += rest
        for block in gone:
            block.delete()
        _place(row, kept)


def _place(row: Page, kept: list[Block | tuple[str, dict[str, Any]]]) -> None:
    """Store the new blocks among ``kept`` with keys between those of their neighbours."""
    position = 0
    while position < len(kept):
        if isinstance(kept[position], Block):
            position += 1
            continue
        end = next((index for index in range(position, len(kept)) if isinstance(kept[index], Block)), len(kept))
        low, high = _ordering(kept, position - 1), _ordering(kept, end)
        if high and low >= high:  # two neighbours with the same key, made at two places at once: give all a new one
            _reorder(kept)
            low, high = _ordering(kept, position - 1), _ordering(kept, end)
        for index, key in zip(range(position, end), spread(end - position, low, high), strict=True):
            kind, data = kept[index]  # type: ignore[misc]
            kept[index] = Block.objects.create(parent=row, ordering=key, type=kind, data=data)
        position = end


def _ordering(kept: list[Any], position: int) -> str:
    return kept[position].ordering if 0 <= position < len(kept) else ""


def _reorder(kept: list[Any]) -> None:
    blocks = [block for block in kept if isinstance(block, Block)]
    for block, key in zip(blocks, spread(len(blocks)), strict=True):
        block.ordering = key
        block.save(update_fields=["ordering"])


def _column(name: str) -> str:
    """Return the attribute that holds what a field names, so that no row need be fetched to compare."""
    return "section_id" if name == "section" else name


def _key(kind: str, data: dict[str, Any]) -> str:
    return kind + _canonical(data)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

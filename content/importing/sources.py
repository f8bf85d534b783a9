"""The folder that is imported: where its pages are, where its site begins, which section a file belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".md", ".markdown", ".mdown", ".mkd"}
# Folders that hold pages, looked for in the folder given; the first that is there is taken.
PAGE_FOLDERS = ("_posts", "posts", "content", "src/_posts", "src/posts", "src/content", "src/blog", "blog")
# What tells the top folder of a site.
SITE_MARKS = ("assets", "static", "images", "img", "public", "_config.yml", "config.toml", "hugo.toml", ".eleventy.js", ".git")
UPWARD = 3  # how many folders above the one given may be the top of the site
BLOG_NAMES = {"_posts", "posts", "post", "blog", "articles", "_drafts"}
# Files that describe a folder; without front matter they are no pages.
ABOUT_FILES = {"readme", "license", "licence", "changelog", "contributing", "code_of_conduct", "security", "notice"}
IGNORED_FOLDERS = {"node_modules", "__pycache__", "_site", "_includes", "_layouts", "_data"}


@dataclass(frozen=True, slots=True)
class Site:
    """``root`` is the top folder of the site, which no path leaves; ``pages`` the folder with the Markdown; both absolute."""

    root: Path
    pages: Path
    assets: tuple[Path, ...] = ()

    def source(self, file: Path) -> str:
        """Return the name by which the page of ``file`` is found again: its path within the site."""
        return file.relative_to(self.root).as_posix()

    def section(self, file: Path) -> str:
        """Return the section that the folder of ``file`` names, or an empty text where it stands at the top."""
        folders = [part for part in file.relative_to(self.pages).parts[:-1] if not part.isdecimal()]
        if file.stem == "index":  # a page bundle: the folder is the page
            folders = folders[:-1]
        return _title(folders[0]) if folders else ""

    def default_section(self) -> str:
        """Return the section of files that stand at the top."""
        return _title(self.pages.name)


def find_site(path: Path, assets: tuple[Path, ...] = ()) -> Site:
    """Return the site of the folder ``path``, which may be the top of a site or the folder with its pages."""
    path = path.resolve()
    pages = next((path / name for name in PAGE_FOLDERS if (path / name).is_dir()), None)
    if pages is not None:
        return Site(path, pages.resolve() if pages.resolve().is_relative_to(path) else path, assets)
    candidates = [path, *list(path.parents)[:UPWARD]]
    root = next(
        (folder for folder in candidates if folder != folder.parent and any((folder / mark).exists() for mark in SITE_MARKS)),
        path,
    )
    return Site(root, path, assets)


def page_files(site: Site) -> Iterator[Path]:
    """Yield the Markdown files, sorted, links to elsewhere left out."""
    for folder, folders, names in os.walk(site.pages):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS and not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(folder) / name


def name_of(file: Path) -> str:
    """Return the name of a page's file without its suffix; that of the folder for a page bundle."""
    return file.parent.name if file.stem in ("index", "_index") else file.stem


def _title(folder: str) -> str:
    if folder.lower() in BLOG_NAMES or folder == "content":
        return "Blog"
    return folder.strip("_").replace("-", " ").replace("_", " ").strip().capitalize() or "Blog"

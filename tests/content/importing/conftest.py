"""A site in a folder of its own, and the importer to run over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image

from content.models import Block, Page


class Folder:
    """A site to import: ``post`` writes a page, ``picture`` an image, ``run`` imports and returns the report as JSON."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.status = 0

    def post(self, body: str, name: str = "posts/2015-05-11-hello.md", head: str = "title: Hello") -> Path:
        """Write a page with front matter ``head``."""
        return self.file(name, f"---\n{head}\n---\n{body}\n")

    def file(self, name: str, content: str | bytes) -> Path:
        """Write any file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def picture(self, name: str = "assets/blog/x.png", colour: str = "red") -> Path:
        """Write a picture of 4 by 3 pixels."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), colour).save(path)
        return path

    def run(self, *arguments: str, path: str = "") -> dict:
        """Import; the exit status is in ``status`` afterwards, what went to stderr in ``errors``."""
        self.status = 0
        self.capsys.readouterr()
        try:
            call_command("import_pages", str(self.root / path), "--json", *arguments)
        except SystemExit as end:
            self.status = end.code
        out, self.errors = self.capsys.readouterr()
        return json.loads(out)

    def blocks(self, body: str) -> list[tuple[str, dict]]:
        """Import one page with ``body`` and return type and data of its blocks."""
        self.post(body)
        self.report = self.run()
        assert not self.report["failed"], self.report["failed"]
        return list(Block.objects.filter(parent=Page.objects.get()).values_list("type", "data"))


@pytest.fixture
def site(tmp_path, capsys, db):
    """An empty site."""
    root = tmp_path / "site"
    (root / "posts").mkdir(parents=True)
    (root / "assets").mkdir()
    return Folder(root, capsys)

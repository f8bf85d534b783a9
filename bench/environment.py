"""Peers in environments of their own under ``build/bench``, installed when they are first measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.frame import BUILD, CannotError


def python(name: str, packages: Sequence[str]) -> Path:
    """Return the Python of an environment with ``packages``. Raises CannotError where they cannot be installed."""
    folder = BUILD / name
    binary = folder / "bin" / "python"
    if _is_new(folder, packages):
        _must([sys.executable, "-m", "venv", "--clear", str(folder)])
        _must([str(binary), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        _done(folder, packages)
    return binary


def node(name: str, packages: Mapping[str, str]) -> Path:
    """Return a folder whose ``node_modules`` holds ``packages``, name: version. Raises CannotError where that cannot be."""
    folder, wanted = BUILD / name, [f"{package}@{version}" for package, version in packages.items()]
    if not (shutil.which("node") and shutil.which("npm")):
        raise CannotError("node and npm are not installed; on Debian: apt-get install nodejs npm")
    if _is_new(folder, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"private": True}))
        _must(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error", *wanted])
        _done(folder, wanted)
    return folder


def version_of(binary: Path, package: str) -> str:
    """Return the version of a package in the environment of a Python."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([binary, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _is_new(folder: Path, packages: Sequence[str]) -> bool:
    """Say whether ``packages`` are still to be installed: an install that was cut off, or of others, counts for nothing."""
    ready = folder / "ready"
    return not ready.exists() or ready.read_text() != "\n".join(packages)


def _done(folder: Path, packages: Sequence[str]) -> None:
    (folder / "ready").write_text("\n".join(packages))


def _must(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise CannotError(f"{Path(command[0]).name} could not install it: {last[-1]}")

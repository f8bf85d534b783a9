"""The key pair of this replica: made at first start, in ``EDGECMS_DATA/keys``, readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import conf
from sync.core import signing


def path() -> Path:
    """Where the private key stands: its 32 raw bytes in hex."""
    return conf.data() / "keys" / "ed25519.key"


def ensure() -> Path:
    """Make the key pair where there is none, and return its path. Of two processes, the first one's key is kept."""
    target = path()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        try:
            _write(fresh)
            with contextlib.suppress(FileExistsError):
                os.link(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
    return target


def _write(fresh: Path) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(Ed25519PrivateKey.generate().private_bytes_raw().hex())
        file.flush()
        os.fsync(file.fileno())


def private() -> Ed25519PrivateKey:
    """Return the private key of this replica."""
    return _load(ensure())


@lru_cache(maxsize=4)
def _load(source: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(source.read_text().strip()))


def forget() -> None:
    """Read the key anew at its next use: the file was replaced."""
    _load.cache_clear()
    _text.cache_clear()


def public_text() -> str:
    """Return the public key as ``ed25519:`` and base64."""
    return _text(ensure())


@lru_cache(maxsize=4)
def _text(source: Path) -> str:
    return signing.key_text(_load(source).public_key())

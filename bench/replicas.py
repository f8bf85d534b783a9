"""Replicas for benches, quickly: an empty database is migrated once and copied, keys are exchanged without starting a program."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.frame import BUILD
from bench.measure import TOP, Run, free_port, run
from deploy.local.replica import Replica
from sync.core.signing import key_text

DATABASE = "db.sqlite3"


def make(node: str, role: str, folder: Path, farm: str = "", port: int = 0, **env: str) -> Replica:
    """Return a new replica with a key and an empty database; nothing runs. ``env``: further variables of its environment."""
    replica = Replica(node, "BENCH", role, farm, folder, port or free_port(), extra={"WEB_CONCURRENCY": "2", **env})
    keys = replica.folder / "keys"
    keys.mkdir(parents=True, mode=0o700)
    (keys / "ed25519.key").write_text(Ed25519PrivateKey.generate().private_bytes_raw().hex())
    (keys / "ed25519.key").chmod(0o600)
    shutil.copy(_empty(), replica.folder / DATABASE)
    make_new(replica)
    return replica


def make_new(replica: Replica) -> None:
    """Let the database of a replica, a copy of another one's, be of one that has never written."""
    with closing(sqlite3.connect(replica.folder / DATABASE)) as connection, connection:
        connection.execute(
            "UPDATE sync_local SET incarnation = ?, key = '', place = '', former = '', written = 0", [secrets.token_hex(8)]
        )


def key(replica: Replica) -> str:
    """Return the public key of a replica."""
    private = bytes.fromhex((replica.folder / "keys" / "ed25519.key").read_text())
    return key_text(Ed25519PrivateKey.from_private_bytes(private).public_key())


def introduction(replica: Replica, url: str = "") -> dict[str, str]:
    """Return what ``inside.trust`` takes of a replica; ``url`` where others reach it in another place than itself."""
    return {
        "name": replica.name,
        "role": replica.role,
        "farm": replica.farm,
        "url": url or replica.extra.get("EDGECMS_URL", replica.url),
        "key": key(replica),
    }


def inside(replica: Replica, function: str, **arguments: Any) -> Run:
    """Run ``function`` of ``bench.inside`` in a process of the replica. Raises RuntimeError with what it wrote where it fails."""
    return run([sys.executable, "-m", "bench.inside", function, json.dumps(arguments)], replica.env)


def count(replica: Replica, table: str = "content_section") -> int:
    """Return how many rows a replica has."""
    with closing(sqlite3.connect(replica.folder / DATABASE)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _empty() -> Path:
    """Return a migrated, empty database, made anew whenever a migration has changed."""
    digest = hashlib.sha256((TOP / "requirements" / "run.txt").read_bytes())
    for migration in sorted(TOP.glob("*/migrations/*.py")):
        digest.update(migration.read_bytes())
    path = BUILD / f"empty-{digest.hexdigest()[:16]}.sqlite3"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Replica("EMPTY01", "BENCH", "master", "", Path(folder) / "data", free_port())
            made.must("migrate", "--verbosity", "0")
            with closing(sqlite3.connect(made.folder / DATABASE)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (made.folder / DATABASE).replace(path)
    return path

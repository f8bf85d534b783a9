"""Peers that do not answer, or for ever, beside one that does: what that one writes comes at once all the same."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.acts import PUBLISH, shows
from tests.cluster.harness import Cluster, eventually
from tests.cluster.zygote import MANAGE, Zygote, found_site
from tests.servers import free_port

pytestmark = pytest.mark.cluster

SILENT = 8  # more than are visited at once
ENTER = """
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sync import trust_admin
from sync.core import signing
from sync.core.policy import Role
for number, url in enumerate(urls):
    key = signing.key_text(Ed25519PrivateKey.generate().public_key())
    trust_admin.trust(f"AWAY{number:02}-LON", Role.EDGE, "thames", url, key)
answer = len(urls)
"""


class Site(NamedTuple):
    """A master that knows many edges, of which one answers."""

    master: Zygote
    edge: Zygote
    worker: int  # of the master


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Eight peers take connections and say nothing, one refuses them, one is a replica. The interval is an hour."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path, interval=3600))
        replicas = cluster.make("MASTER01", "master"), cluster.make("EDGE01", "edge", farm="thames")
        master, edge = (stack.enter_context(Zygote(replica)) for replica in replicas)
        found_site([master, edge])
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(SILENT)]
        urls = [f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
        master.answer(ENTER, urls=[*urls, f"http://127.0.0.1:{free_port()}"])
        master.web(), edge.web()
        assert eventually(lambda: edge.replica.get("/readyz").status_code == 200)
        assert eventually(lambda: master.replica.get("/readyz").status_code == 200)
        yield Site(master, edge, master.start(MANAGE, "sync_worker"))


def test_what_one_peer_writes_comes_though_others_are_silent(site: Site) -> None:
    """The first sweep of a worker, and then its messages, reach who answers while the silent ones are waited for."""
    edge = site.edge.replica
    site.edge.start(MANAGE, "sync_worker")
    first = str(site.edge.answer(PUBLISH, title="From the edge"))
    eventually(lambda: shows(site.master.replica, first, "From the edge"), timeout=15)
    second = str(site.master.answer(PUBLISH, title="From the master"))
    eventually(lambda: shows(edge, second, "From the master"), timeout=15)
    third = str(site.edge.answer(PUBLISH, title="Once more"))
    eventually(lambda: shows(site.master.replica, third, "Once more"), timeout=15)


def test_a_worker_ends_at_once_though_it_waits_for_silent_peers(site: Site) -> None:
    """A supervisor's SIGTERM does not have to wait for peers that say nothing."""
    log = site.master.replica.folder / "sync_worker.log"
    eventually(lambda: "exchanges every" in log.read_text())
    os.kill(site.worker, signal.SIGTERM)
    eventually(lambda: site.master.has_ended(site.worker), timeout=10)
    assert site.master.wait(site.worker) == 0

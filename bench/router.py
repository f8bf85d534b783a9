"""Places that are far from each other on one machine: network namespaces, joined by a router that holds every packet back.

The router is this module as a program: it has a TUN device in each namespace, reads packets from one, and writes them to another
when they would have arrived. Needs root and Linux with ``ip``.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import heapq
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.frame import CannotError
from bench.measure import TOP

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NETWORK = "10.213"
MTU = 1500
QUEUE = 1_000  # packets that a device keeps for the router


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace with an address. ``enter`` stands before a command that is to run there."""

    name: str
    address: str

    @property
    def enter(self) -> list[str]:
        """The words that go before a command."""
        return ["ip", "netns", "exec", self.name]


def why_not() -> str:
    """Return what is missing here to make places; empty where nothing is."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are of Linux"
    if os.geteuid() != 0:
        return "it makes network namespaces, so it has to run as root"
    if not shutil.which("ip"):
        return "ip is not installed; on Debian: apt-get install iproute2"
    return "" if Path("/dev/net/tun").exists() else "there is no /dev/net/tun; modprobe tun, or let the container have it"


@contextlib.contextmanager
def places(distances: Mapping[tuple[str, str], float]) -> Iterator[dict[str, Place]]:
    """Make a place for each name; ``distances``: milliseconds there and back between two. Raises CannotError."""
    if reason := why_not():
        raise CannotError(reason)
    names = sorted({name for pair in distances for name in pair})
    found = {name: Place(f"bench-{os.getpid()}-{name}", f"{NETWORK}.{number}.1") for number, name in enumerate(names, 1)}
    delays = {f"{names.index(a)} {names.index(b)}": ms / 2000 for pair, ms in distances.items() for a, b in (pair, pair[::-1])}
    with contextlib.ExitStack() as stack:
        for place in found.values():
            _ip("netns", "add", place.name)
            stack.callback(_ip, "netns", "del", place.name)
        router = subprocess.Popen(
            [sys.executable, "-m", "bench.router", json.dumps([place.name for place in found.values()]), json.dumps(delays)],
            cwd=TOP,
            stdout=subprocess.PIPE,
        )
        stack.callback(router.wait)
        stack.callback(router.terminate)
        if router.stdout is None or router.stdout.readline() != b"ready\n":
            raise CannotError("the router between the namespaces did not start; what it said is above")
        yield found


def _ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode:
        raise CannotError(f"ip {' '.join(args)} failed: {done.stderr.strip()}")


def device(place: str, number: int) -> int:
    """Make a TUN device, move it into a namespace, set it up there, and return its descriptor, which stays with us."""
    name = f"bench{os.getppid() % 100_000}-{number}"
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    _ip("link", "set", name, "netns", place)
    for words in (
        ["addr", "add", f"{NETWORK}.{number + 1}.1/24", "dev", name],
        ["link", "set", name, "mtu", str(MTU), "txqueuelen", str(QUEUE), "up"],
        ["link", "set", "lo", "up"],
        ["route", "add", f"{NETWORK}.0.0/16", "dev", name],
    ):
        _ip("-n", place, *words)
    # Not BBR, where the machine has it: it spreads a page over the time of the line, milliseconds for each. Reno is there always.
    _ip("netns", "exec", place, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
    return descriptor


def route(devices: Sequence[int], delays: Mapping[tuple[int, int], float]) -> None:
    """Pass IPv4 packets on by the third number of their address, each after its delay (seconds); until this process is ended."""
    numbers, waiting, count = {descriptor: number for number, descriptor in enumerate(devices)}, [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, target, packet = heapq.heappop(waiting)
            with contextlib.suppress(OSError):  # a device that is full, or gone: as a line loses packets
                os.write(target, packet)
        readable, _, _ = select.select(devices, [], [], max(0.0, waiting[0][0] - time.monotonic()) if waiting else None)
        for source in readable:
            for packet in _packets(source):
                target = packet[18] - 1 if len(packet) > 20 and packet[0] >> 4 == 4 else -1
                if (delay := delays.get((numbers[source], target))) is not None:
                    count += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, count, devices[target], packet))


def _packets(source: int) -> Iterator[bytes]:
    """Yield some of the packets that are there."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(32):
            yield os.read(source, MTU)


def main(names: Sequence[str], delays: Mapping[str, float]) -> None:
    """Set the devices up and route, before all other processes where the system lets us: a late router is distance that is not there."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()
    devices = [device(name, number) for number, name in enumerate(names)]
    print("ready", flush=True)
    route(devices, {(int(key.split()[0]), int(key.split()[1])): seconds for key, seconds in delays.items()})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))

"""``/metrics`` for Prometheus: requests counted and timed by the name of their view, over all workers of this replica.

Under gunicorn each worker writes into files of its own under ``PROMETHEUS_MULTIPROC_DIR`` (set in ``gunicorn.conf.py``), and
whichever worker is asked adds them up. The files are named by the worker's slot, not by its process: a worker that takes
the place of another goes on with its counters, so the folder does not grow.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from edgecms import __version__

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FILE_SIZE = 1 << 16  # bytes, at first
_slot: list[str] = []


def use_slot(slot: int) -> None:
    """Say, in a worker that has just been forked, which of the places for workers it has taken."""
    _slot[:] = [f"worker{slot}"]


def _identifier() -> str:
    return _slot[0] if _slot else str(os.getpid())


def _several_processes() -> bool:
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


class AllocatedDict(MmapedDict):
    """The file of numbers of one worker, every block of it allocated.

    prometheus_client makes it with holes, and to write into a hole of a mapped file on a full disk ends the process (SIGBUS).
    Raises OSError where there is no room.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            self._allocate(filename, FILE_SIZE)
        super().__init__(filename, read_mode)

    @staticmethod
    def _allocate(filename: str, size: int) -> None:
        descriptor = os.open(filename, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, max(size, os.fstat(descriptor).st_size))
        finally:
            os.close(descriptor)

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + 64 > self._capacity:  # it is about to be doubled
            self._allocate(self._fname, self._capacity * 2)
        super()._init_value(key)


if _several_processes():
    values.MmapedDict = AllocatedDict  # type: ignore[misc]
    values.ValueClass = values.MultiProcessValue(_identifier)

REQUESTS = Counter("edgecms_requests", "Requests answered", ["view", "method", "status"])
SECONDS = Histogram(
    "edgecms_request_seconds",
    "Seconds from the request to the first byte of its answer",
    ["view"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@cache
def _kept(method: str, status: int) -> Counter:
    return REQUESTS.labels("kept", method, status)


def count_kept(method: str, status: int) -> None:
    """Count a request that was answered from the folder of pages, without Django. 1 µs."""
    _kept(method, status).inc()


class MetricsMiddleware:
    """Counts and times every request. A request that no view took counts as ``none``, so that scans make no new series."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        response = self.get_response(request)
        view = _view_name(request)
        method = request.method if request.method in METHODS else "other"
        with contextlib.suppress(OSError):  # a full disk: what is new is not counted, what was counted before goes on
            SECONDS.labels(view).observe(time.perf_counter() - start)
            REQUESTS.labels(view, method, response.status_code).inc()
        return response


def _view_name(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.view_name or match._func_path) if match else "none"


class ReplicaCollector(Collector):
    """What is true of the replica as a whole, asked when Prometheus asks."""

    def collect(self) -> Iterator[Metric]:
        """Yield ``edgecms_replica_info``."""
        environment = settings.ENVIRONMENT
        facts = {"replica": environment.name, "role": environment.role, "farm": environment.farm, "version": __version__}
        yield InfoMetricFamily("edgecms_replica", "This replica", facts)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ReplicaCollector())
    if _several_processes():
        MultiProcessCollector(registry)
    else:
        registry.register(REGISTRY)
    return registry


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all numbers, in the format that the client asks for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_registry()), content_type=content_type)
